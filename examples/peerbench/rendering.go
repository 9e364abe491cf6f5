package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-go/tocsin/event"
)

// renderer is a template engine's way to make a text.
type renderer struct {
	name   string
	traits renderTraits
	// open compiles and returns what renders data once.
	open func(data any) (render func() (string, error), err error)
}

// renderTraits says what a template engine does about hostile templates and values.
type renderTraits struct{ escapes, reach, limits string }

func renderTraitNames() []string {
	return []string{"escapes values", "what a template can reach", "limits"}
}

func (t renderTraits) list() []string { return []string{t.escapes, t.reach, t.limits} }

// rendering is the contest of making a JSON body out of an event by a compiled template.
func rendering(amount int) contest {
	c := contest{
		name:  "templates",
		title: "Templates",
		work: "A JSON body of a dozen values, a condition and a loop, from the decoded form of an event, by a template compiled " +
			"beforehand. All make the same bytes.",
		unit: "body", amount: amount, warm: amount / 10,
		traits: renderTraitNames(),
	}
	for _, r := range renderers() {
		e := repeated(r.name, func() (func() error, error) {
			data, err := renderData()
			if err != nil {
				return nil, err
			}
			render, err := r.open(data)
			return func() error { _, err := render(); return err }, err
		})
		e.traits = r.traits.list()
		c.entrants = append(c.entrants, e)
	}
	return c
}

func renderers() []renderer {
	return []renderer{textTemplate(), tocsinTemplate(), tocsinTextTemplate(), raymondTemplate()}
}

// renderData is the decoded form of an event. Its values need no escaping, because not all engines know how.
func renderData() (any, error) {
	sample, ok := event.Sample(event.TypeRequestPending)
	if !ok {
		return nil, fmt.Errorf("no sample of %s", event.TypeRequestPending)
	}
	decoder := json.NewDecoder(strings.NewReader(string(sample.JSON())))
	decoder.UseNumber()
	var data any
	err := decoder.Decode(&data)
	return data, err
}
