package webhook

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"

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
	// CustomFields adds each attribute of the event as a variable of its name. One that has the name of a variable that is
	// in the form is left out, so that an attribute cannot pass for another fact.
	CustomFields bool
}

// FormBody is a list of form variables (application/x-www-form-urlencoded), sorted by name. Three are in every form,
// whatever Variables says: event, the event's type; version; and timestamp, when it happened, in whole seconds since 1970.
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

type formBody struct{ options FormOptions }

func (b *formBody) kind() string { return "form" }

func (b *formBody) contentType() (string, bool) { return "application/x-www-form-urlencoded", true }

func (b *formBody) check(string) *ConfigError {
	for name, path := range b.options.Variables {
		if name == "" || path == "" {
			return &ConfigError{"Body", "is a form with a variable without a name or path", "give both, or remove it"}
		}
	}
	return nil
}

func (b *formBody) fill(_ context.Context, in making, r *rendering) error {
	e := in.delivery.Event
	form := make(url.Values, len(b.options.Variables)+3)
	for name, path := range b.options.Variables {
		if value, ok := scalarAt(e, path); ok {
			form.Set(name, value)
		}
	}
	form.Set("event", string(e.Type()))
	form.Set("version", b.options.Version)
	form.Set("timestamp", strconv.FormatInt(e.Time().Unix(), 10))
	if b.options.CustomFields {
		for name, value := range e.Attributes() {
			if !form.Has(name) {
				form.Set(name, value)
			}
		}
	}
	r.body = []byte(form.Encode())
	return nil
}

// scalarAt returns the text, number or boolean at a path of names joined by dots, as text.
func scalarAt(e event.Event, path string) (string, bool) {
	var at any = e.Decoded()
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
