package webhook

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// FormOptions say which variables a form has. The zero value is the form of privileged remote access products without
// custom fields.
type FormOptions struct {
	// Version is the variable version. Empty = "1".
	Version string
	// Variables maps names to paths in the event's decoded form, such as "user" to "data.requester.email". A variable
	// without a text, number or boolean at its path is left out. nil = template.SessionMacros.
	Variables map[string]string
	// CustomFields adds each attribute of the event as a variable of its name. One that has the name of a variable that
	// is in the form is left out, so that an attribute cannot pass for another fact.
	CustomFields bool
}

// FormBody is a list of form variables (application/x-www-form-urlencoded), sorted by name. Three are in every form,
// whatever Variables says: event, the event's type or the word that [Config].Words has for it; version; and timestamp,
// when it happened, in whole seconds since 1970. That of a test event (event.Event.ForTest) has the variable test
// besides, which no attribute becomes.
//
// A signature covers a form like any other body, but receivers' libraries that parse JSON after they have checked it,
// as those of Standard Webhooks do, refuse every form: use package signature, or a library that only checks.
func FormBody(o FormOptions) Body {
	if o.Version == "" {
		o.Version = "1"
	}
	if o.Variables == nil {
		o.Variables = template.SessionMacros()
	}
	o.Variables = maps.Clone(o.Variables)
	return Body{source: &formBody{o}}
}

// testMark marks what is made of a test event, in forms and CloudEvents.
const testMark = "test"

type formBody struct{ options FormOptions }

func (b *formBody) kind() string { return "form" }

func (b *formBody) contentType() (string, bool) { return "application/x-www-form-urlencoded", true }

func (b *formBody) validate(string) error {
	for name, path := range b.options.Variables {
		if name == "" || path == "" {
			return configError(channel.CodeMissing, "Body", "is a form with a variable without a name or path", "give both, or remove it")
		}
	}
	return nil
}

func (b *formBody) mayHoldSecrets(fromEvent bool) bool { return fromEvent }

func (b *formBody) render(_ context.Context, in bodyInput, r *rendered) error {
	return fit(in.data, func(data map[string]any) error {
		r.body = []byte(b.form(in.delivery.Event, data).Encode())
		return limitSize(len(r.body), in.limit)
	})
}

// form makes the variables of an event from its data.
func (b *formBody) form(e event.Event, data map[string]any) url.Values {
	form := make(url.Values, len(b.options.Variables)+3)
	for name, path := range b.options.Variables {
		if value, ok := scalarAt(data, path); ok {
			form.Set(name, value)
		}
	}
	word, _ := scalarAt(data, "event_type")
	form.Set("event", word)
	form.Set("version", b.options.Version)
	form.Set("timestamp", strconv.FormatInt(e.Time().Unix(), 10))
	if e.IsTest() {
		form.Set(testMark, "true")
	}
	if b.options.CustomFields {
		attributes, _ := data["attributes"].(map[string]any)
		for name, value := range attributes {
			if text, ok := value.(string); ok && !form.Has(name) && name != testMark {
				form.Set(name, text)
			}
		}
	}
	return form
}

// scalarAt returns the text, number or boolean at a path of names joined by dots, as text.
func scalarAt(data map[string]any, path string) (string, bool) {
	var at any = data
	for name := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		at = object[name]
	}
	switch v := at.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
