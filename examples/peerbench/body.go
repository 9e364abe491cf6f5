package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/aymerick/raymond"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// encoding is the contest of making an event's JSON for ten receivers.
func encoding(amount int) contest {
	return contest{
		name: "json", title: "JSON of an event for ten receivers", unit: "event", amount: amount, warm: amount / 10,
		work: "An event of about 1 KiB is made and its JSON asked for by ten receivers.",
		entrants: []entrant{
			repeated("encoding/json of the payload (floor)", func() (func() error, error) {
				payload, err := requestPayload()
				return func() error { _, err := json.Marshal(payload); return err }, err
			}),
			repeated(encodedForOne, func() (func() error, error) { return encodeFor(1) }),
			repeated(encodedForTen, func() (func() error, error) { return encodeFor(receivers) }),
		},
	}
}

func encodeFor(n int) (func() error, error) {
	payload, err := requestPayload()
	return func() error {
		e, err := event.New(payload, event.Meta{Source: "peerbench"})
		for range n {
			_ = e.JSON()
		}
		return err
	}, err
}

func requestPayload() (event.Payload, error) {
	sample, _ := event.Sample(event.TypeApplicationAccessRequested)
	return event.Decode[event.ApplicationAccessRequested](sample)
}

// signing is the contest of signing a body.
func signing(amount int) contest {
	body := []byte(strings.Repeat("x", 1<<10))
	return contest{
		name: "signature", title: "Signatures", unit: "signature", amount: amount, warm: amount / 10,
		work: "A Standard Webhooks signature of a body of 1 KiB, with a key that was prepared beforehand.",
		entrants: []entrant{
			repeated("standard-webhooks", func() (func() error, error) {
				hook, err := standardwebhooks.NewWebhook(signingSecret)
				return func() error { _, err := hook.Sign("event-7", time.Unix(1e9, 0), body); return err }, err
			}),
			repeated("Tocsin, channel/webhook/signature", func() (func() error, error) {
				key, err := signature.NewKey(signature.Standard, signingSecret)
				return func() error { signature.Standard.Sign("event-7", time.Unix(1e9, 0), body, key); return nil }, err
			}),
			repeated("SHA-256 of the body, in every signature", func() (func() error, error) {
				return func() error { _ = sha256.Sum256(body); return nil }, nil
			}),
		},
	}
}

// renderer is a template engine's way to make a text.
type renderer struct {
	name   string
	traits []string
	// open compiles and returns what renders data once.
	open func(data any) (render func() (string, error), err error)
}

// rendering is the contest of making a JSON body out of an event by a compiled template.
func rendering(amount int) contest {
	c := contest{
		name:  "templates",
		title: "Templates",
		work: "A JSON body of a dozen values, a condition and a loop, from the decoded form of an event, by a template compiled " +
			"beforehand. All make the same bytes.",
		unit: "body", amount: amount, warm: amount / 10,
		traits: []string{"escapes values", "what a template can reach", "limits"},
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
		e.traits = r.traits
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

// handlebarsBody is the body that is made.
const handlebarsBody = `{
  "event": "{{event_type}}", "at": {{event_time}}, "id": "{{data.friendly_id}}",
  "requester": {"name": "{{data.requester.name}}", "email": "{{data.requester.email}}"},
  "text": "{{data.justification}}", "until": {{data.revocation_date}}, "flow": "{{data.access_flow.name}}",
  {{#if data.access_bundle}}"bundle": "{{data.access_bundle.name}}", {{/if}}"url": "{{data.url}}",
  "resources": [{{#each data.access_groups}}{{#unless @first}}, {{/unless}}{{#each access_units}}{{#unless @first}}, {{/unless}}"{{resource.name}}: {{permission.name}}"{{/each}}{{/each}}]
}
`

// tocsinTemplate is package template for JSON: values escaped for their place, the result checked.
func tocsinTemplate() renderer {
	return tocsinRenderer("Tocsin, for JSON", template.JSON, "for the place each stands in; the result is checked")
}

// tocsinTextTemplate is the same for text: the fair comparison with engines that know nothing of JSON.
func tocsinTextTemplate() renderer {
	return tocsinRenderer("Tocsin, for text", template.Text, "no, as asked")
}

func tocsinRenderer(name string, mode template.Mode, escapes string) renderer {
	return renderer{
		name: name, traits: []string{escapes, "the event's data, nothing else", "size, depth, steps"},
		open: func(data any) (func() (string, error), error) {
			t, err := template.Compile(handlebarsBody, template.Options{Mode: mode})
			if err != nil {
				return nil, err
			}
			var out []byte
			return func() (_ string, err error) {
				out, err = t.Render(context.Background(), out[:0], data)
				return string(out), err
			}, nil
		},
	}
}

// textBody makes what handlebarsBody makes.
const textBody = `{
  "event": "{{.event_type}}", "at": {{.event_time}}, "id": "{{.data.friendly_id}}",
  "requester": {"name": "{{.data.requester.name}}", "email": "{{.data.requester.email}}"},
  "text": "{{.data.justification}}", "until": {{.data.revocation_date}}, "flow": "{{.data.access_flow.name}}",
  {{if .data.access_bundle}}"bundle": "{{.data.access_bundle.name}}", {{end}}"url": "{{.data.url}}",
  "resources": [{{range $i, $g := .data.access_groups}}{{if $i}}, {{end}}{{range $j, $u := .access_units}}{{if $j}}, {{end}}"{{.resource.name}}: {{.permission.name}}"{{end}}{{end}}]
}
`

// textTemplate is the standard library's engine.
func textTemplate() renderer {
	return renderer{
		name: "text/template", traits: []string{"no", "methods and fields of values, by reflection", "none"},
		open: func(data any) (func() (string, error), error) {
			t, err := texttemplate.New("").Parse(textBody)
			if err != nil {
				return nil, err
			}
			var out bytes.Buffer
			return func() (string, error) {
				out.Reset()
				err := t.Execute(&out, data)
				return out.String(), err
			}, nil
		},
	}
}

// raymondTemplate is raymond with defaults, whose parser Tocsin's templates use too.
func raymondTemplate() renderer {
	return renderer{
		name: "aymerick/raymond", traits: []string{"for HTML, always", "methods and fields of values, by reflection", "none"},
		open: func(data any) (func() (string, error), error) {
			t, err := raymond.Parse(handlebarsBody)
			if err != nil {
				return nil, err
			}
			return func() (string, error) { return t.Exec(data) }, nil
		},
	}
}
