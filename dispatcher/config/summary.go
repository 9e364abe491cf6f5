package config

import (
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// ChannelSummary is what a list of channels shows of one. It holds no secret.
type ChannelSummary struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Destination is where the channel sends, as far as it may be shown: the URL with its replacements, or scheme, host
	// and port; the relay; what its type says first of its destination. "" = nothing of it may be shown.
	Destination string         `json:"destination,omitempty"`
	Routes      []RouteSummary `json:"routes"` // that use it
}

// RouteSummary is what a list of channels shows of a route.
type RouteSummary struct {
	Name   string           `json:"name"`
	Tenant string           `json:"tenant,omitempty"` // as the document has it; "" = that of the document
	State  dispatcher.State `json:"state"`
	// Events are the types, prefixes and words that the route names, also in its rules. None = every lifecycle event.
	Events []string `json:"events"`
}

// Channels lists the channels of the document, in its order.
func (d *Document) Channels() []ChannelSummary {
	routes := map[string][]RouteSummary{}
	for _, r := range d.list("routes") {
		name := r.text("channel")
		routes[name] = append(routes[name], RouteSummary{r.text("name"), r.text("tenant"), stateOf(r), eventsOf(Settings{v: r})})
	}
	all := make([]ChannelSummary, 0, len(d.list("channels")))
	for _, c := range d.list("channels") {
		name := c.text("name")
		all = append(all, ChannelSummary{name, c.text("type"), c.destination(), append([]RouteSummary{}, routes[name]...)})
	}
	return all
}

// RoutesOf lists the names of the routes that use a channel, in the order of the document.
func (d *Document) RoutesOf(channel string) []string {
	var names []string
	for _, r := range d.list("routes") {
		if r.text("channel") == channel {
			names = append(names, r.text("name"))
		}
	}
	return names
}

// Channel writes a channel as [Document.JSON] does; nil = there is none of that name.
func (d *Document) Channel(name string) []byte { return d.part("channels", name) }

// Route writes a route as [Document.JSON] does; nil = there is none of that name.
func (d *Document) Route(name string) []byte { return d.part("routes", name) }

func (d *Document) part(list, name string) []byte {
	v := d.list(list).named(name)
	if v == nil {
		return nil
	}
	return indented(writer{}.object(v))
}

// destination is what may be shown of where a channel sends: an Address, or else what its type has first.
func (v *value) destination() string {
	first := ""
	for _, f := range v.fields() {
		text, isText := f.data.(string)
		switch {
		case f.field.Kind == Address && isText:
			shown, _ := writer{}.value(f, len(v.masked()) > 0).(string)
			return shown
		case first != "" || !f.field.Destination || slices.ContainsFunc(channelFields, func(common Field) bool { return common.Name == f.name() }):
		case f.field.Kind == Variants:
			first = f.text(f.field.Tag)
		case f.field.Kind == Text && isText:
			first = text
		}
	}
	return first
}

// stateOf is the state of a route.
func stateOf(route *value) dispatcher.State {
	return map[string]dispatcher.State{"disabled": dispatcher.Disabled, "paused": dispatcher.Paused}[route.text("state")]
}

// eventsOf lists what a route, or a rule, names.
func eventsOf(s Settings) []string {
	all := slices.Concat(s.Texts("events"), s.Texts("triggers"))
	for _, rule := range s.Objects("rules") {
		named := eventsOf(rule)
		if len(named) == 0 {
			return []string{}
		}
		all = append(all, named...)
	}
	if all == nil {
		return []string{}
	}
	return all
}
