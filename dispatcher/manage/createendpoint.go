package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// simpleCreate is a create with a flat body: the fields of a channel and of its one route, some under other names.
type simpleCreate struct {
	path    string
	typ     string            // of the channel
	renamed map[string]string // fields of the body that the channel has under another name
	headers bool              // headers is an object whose values are secrets
}

func simpleCreates() []simpleCreate {
	return []simpleCreate{
		{path: "slack-webhook", typ: "slack", renamed: map[string]string{"webhook_url": "url"}},
		{path: "email", typ: "email"},
		{path: "generic-webhook", typ: "webhook", headers: true},
		{path: "aws-sns", typ: "sns"},
	}
}

func createEndpoints() []endpoint {
	var all []endpoint
	for _, k := range simpleCreates() {
		all = append(all, endpoint{
			method: http.MethodPost, path: "/notification-channels/" + k.path, role: Editor, id: "create" + camel(k.path), request: k, answers: created(),
			summary: "Create a channel of type " + k.typ + " with one route of its name: 3 retries, and identical events within 2 hours are sent once, unless the body says otherwise. Repeated with equal content it changes nothing.",
			handle: func(c *call) (*reply, error) {
				text, _, err := readBody(c.writer, c.request, c.service.options.Limits.Channel, "application/json")
				if err != nil {
					return nil, err
				}
				members, err := parseObject(text)
				if err != nil {
					return nil, err
				}
				in, err := k.input(members, c.service.configOf(c.by.Tenant))
				if err != nil {
					return nil, err
				}
				out, err := c.create(in, "./")
				return out, k.translate(err, members)
			},
		})
	}
	return all
}

// input makes the channel and its route of a body.
func (k simpleCreate) input(members []member, o config.Options) (ChannelInput, error) {
	channelFields, routeFields := k.fields(o)
	c := map[string]json.RawMessage{"type": quote(k.typ)}
	route := map[string]json.RawMessage{"retry": json.RawMessage(`{"count": 3}`), "dedup": json.RawMessage(`{"window": "2h"}`)}
	var wrong []FieldError
	add := func(name string, code channel.ConfigCode, detail, remedy string) {
		wrong = append(wrong, FieldError{"/" + escapePointer(name), code, detail, remedy, 0, 0})
	}
	for _, m := range members {
		name := m.name
		if other := k.renamed[name]; other != "" {
			name = other
		} else if k.hides(name) {
			add(m.name, channel.CodeUnknown, "is not a field", "did you mean "+k.shown(name)+"?")
			continue
		}
		switch {
		case string(m.value) == "null":
			add(m.name, channel.CodeMissing, "has no value", "give one, or leave it out")
		case name == "enabled":
			var enabled bool
			if json.Unmarshal(m.value, &enabled) != nil {
				add(m.name, channel.CodeInvalid, "is not true or false", "write it so")
			} else if !enabled {
				route["state"] = quote("disabled")
			}
		case name == "event_filters":
			if trimmed := strings.TrimSpace(string(m.value)); trimmed != "[]" {
				route["events"] = m.value
			}
		case name == "headers" && k.headers:
			headers, err := secretHeaders(m.value)
			if err != nil {
				add(m.name, channel.CodeInvalid, err.Error(), `write an object of texts, such as {"X-Key": "value"}`)
			}
			c["headers"] = headers
		case name == "name" || slices.Contains(channelFields, name):
			c[name] = m.value
		case slices.Contains(routeFields, name):
			route[name] = m.value
		default:
			c[name] = m.value // which reports it
		}
	}
	if wrong != nil {
		return ChannelInput{}, &Error{Code: CodeFields, Fields: wrong}
	}
	if c["name"] != nil {
		route["name"] = c["name"]
	}
	text, err := json.Marshal(c)
	if err != nil {
		return ChannelInput{}, fmt.Errorf("write channel: %w", err)
	}
	routeText, err := json.Marshal(route)
	if err != nil {
		return ChannelInput{}, fmt.Errorf("write route: %w", err)
	}
	return ChannelInput{Channel: text, Routes: []json.RawMessage{routeText}}, nil
}

// fields lists the names of fields that the body may have of a channel and of a route.
func (k simpleCreate) fields(o config.Options) (ofChannel, ofRoute []string) {
	for _, t := range o.Types.Types(o.Caps) {
		if t.Name == k.typ {
			for _, f := range t.Fields {
				ofChannel = append(ofChannel, f.Name)
			}
		}
	}
	for _, f := range config.RouteFields(o.Caps) {
		if !slices.Contains([]string{"name", "channel", "state", "events"}, f.Name) {
			ofRoute = append(ofRoute, f.Name)
		}
	}
	return ofChannel, ofRoute
}

// hides reports whether the body has a field under another name, or not at all.
func (k simpleCreate) hides(name string) bool {
	return slices.Contains([]string{"type", "channel", "state", "events"}, name) || k.shown(name) != name
}

// shown is the name that the body has for a field of the channel.
func (k simpleCreate) shown(name string) string {
	for body, field := range k.renamed {
		if field == name {
			return body
		}
	}
	switch name {
	case "events":
		return "event_filters"
	case "state":
		return "enabled"
	}
	return name
}

// secretHeaders turns an object of headers into a list of sensitive ones.
func secretHeaders(object json.RawMessage) (json.RawMessage, error) {
	members, err := membersOf(object)
	if err != nil {
		return nil, errors.New("is not an object")
	}
	type header struct {
		Name   string `json:"name"`
		Secret string `json:"secret"`
	}
	all := []header{}
	for _, m := range members {
		h := header{Name: m.name}
		if json.Unmarshal(m.value, &h.Secret) != nil || string(m.value) == "null" {
			return nil, errors.New("has a value that is not text")
		}
		if h.Secret != "" && !strings.HasPrefix(h.Secret, "literal:") && strings.Contains(h.Secret, ":") {
			h.Secret = "literal:" + h.Secret // a value such as "Basic a:b" is meant as it is
		}
		all = append(all, h)
	}
	return json.Marshal(all)
}

// translate turns pointers into the channel and its route into those of the body.
func (k simpleCreate) translate(err error, members []member) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	translated := *e
	translated.Fields = slices.Clone(e.Fields)
	for i, f := range translated.Fields {
		path, inChannel := strings.CutPrefix(f.Pointer, "/channel")
		if !inChannel {
			path = strings.TrimPrefix(f.Pointer, "/routes/0")
		}
		parts := strings.Split(path, "/")
		if len(parts) > 1 {
			parts[1] = k.shown(parts[1])
		}
		if k.headers && len(parts) > 2 && parts[1] == "headers" {
			parts = append([]string{"", "headers"}, headerName(members, parts[2])...)
		}
		if len(parts) == 2 && parts[1] == "type" {
			parts = nil
			translated.Fields[i].Detail, translated.Fields[i].Remedy = "is of a type that the host does not offer: "+k.typ, "use another type"
		}
		translated.Fields[i].Pointer = strings.Join(parts, "/")
	}
	return &translated
}

// headerName finds the name of a header by its place.
func headerName(members []member, index string) []string {
	for _, m := range members {
		if m.name != "headers" {
			continue
		}
		headers, err := membersOf(m.value)
		var i int
		if n, scanErr := fmt.Sscan(index, &i); err == nil && scanErr == nil && n == 1 && i < len(headers) {
			return []string{escapePointer(headers[i].name)}
		}
	}
	return nil
}

// camel turns slack-webhook into SlackWebhook.
func camel(name string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == ' ' }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
