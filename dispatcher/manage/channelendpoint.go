package manage

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"
)

// channelForm is a channel as the API shows it.
type channelForm struct {
	Name     string            `json:"name" doc:"Name of the channel."`
	Channel  json.RawMessage   `json:"channel" ref:"Channel" doc:"Its settings. Secrets are shown as [redacted]."`
	Routes   []json.RawMessage `json:"routes" ref:"Route" doc:"Which events it gets, and how."`
	Broken   string            `json:"broken,omitempty" doc:"Why it cannot be used, so that its events wait; absent if it can."`
	Applied  bool              `json:"applied" doc:"Whether the process that answers has it in force."`
	Revision uint64            `json:"revision" doc:"Of the tenant's configuration."`
}

func formOf(c Channel) channelForm {
	routes := c.Routes
	if routes == nil {
		routes = []json.RawMessage{}
	}
	return channelForm{c.Name, c.Channel, routes, c.Broken, c.Applied, uint64(c.Revision)}
}

// channelBody is a channel as it is posted.
type channelBody struct {
	Channel json.RawMessage   `json:"channel" ref:"Channel" doc:"the channel's settings."`
	Routes  []json.RawMessage `json:"routes,omitempty" ref:"Route" doc:"Which events it gets, and how. Default of a create: one route for every lifecycle event; of a replacement: as they are."`
}

// rowForm is a channel in a list.
type rowForm struct {
	Name         string     `json:"name" doc:"Name of the channel."`
	Type         string     `json:"type" doc:"Its type."`
	State        string     `json:"state" enum:"enabled,paused,disabled,unused" doc:"Whether it is in use. unused: no route uses it."`
	Health       string     `json:"health" enum:"ok,failing,none" doc:"How deliveries went last. none: nothing was tried yet."`
	Destination  string     `json:"destination,omitempty" doc:"Where it sends, as far as that may be shown."`
	EventFilters []string   `json:"event_filters" doc:"The events that it gets; none = every lifecycle event."`
	Queued       *int       `json:"queued,omitempty" doc:"Deliveries that wait; absent if the queue cannot tell."`
	Dead         *int       `json:"dead,omitempty" doc:"Dead letters that are kept; absent if the queue cannot tell."`
	LastSuccess  *time.Time `json:"last_success,omitempty" doc:"The latest delivery; absent if there was none."`
	FailingSince *time.Time `json:"failing_since,omitempty" doc:"When the first attempt since the last success failed; absent if it is not failing."`
	LastError    string     `json:"last_error,omitempty" doc:"What the last failed attempt reported."`
	Broken       string     `json:"broken,omitempty" doc:"Why it cannot be used, so that its events wait; absent if it can."`
}

func rowFormOf(r Row) rowForm {
	return rowForm{r.Name, r.Type, r.State, r.Health, r.Destination, r.EventFilters, counted(r.Queued), counted(r.Dead),
		moment(r.LastSuccess), moment(r.FailingSince), r.LastError, r.Broken}
}

// counted is nil for what could not be counted.
func counted(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// rowPage is a page of a list of channels.
type rowPage struct {
	Channels   []rowForm `json:"channels" doc:"The channels."`
	Total      int       `json:"total" doc:"How many there are on all pages."`
	NextCursor string    `json:"next_cursor,omitempty" doc:"Of the next page; absent on the last one."`
}

func channelEndpoints() []endpoint {
	const one = "/notification-channels/{name}"
	return []endpoint{
		{
			method: http.MethodGet, path: "/notification-channels", role: Viewer, id: "listChannels", summary: "List channels.",
			query: append([]parameter{
				textParameter("q", "Text in the name or the destination."), textParameter("type", "The type."),
				oneOf("state", "The state.", "enabled", "paused", "disabled", "unused"), oneOf("health", "The health.", HealthOK, HealthFailing, HealthNone),
				oneOf("sort", "The order: by name, or what fails first. Default: name.", "name", "health"),
			}, pageParameters()...),
			answers: ok(rowPage{}, "The channels."), handle: listChannels,
		},
		{
			method: http.MethodPost, path: "/notification-channels", role: Editor, id: "createChannel", request: channelBody{},
			summary: "Create a channel with its routes. Repeated with equal content it changes nothing.", answers: created(),
			handle: func(c *call) (*reply, error) {
				var b channelBody
				if err := c.body(2*c.service.options.Limits.Channel, &b); err != nil {
					return nil, err
				}
				return c.create(ChannelInput(b), "./notification-channels/")
			},
		},
		{
			method: http.MethodGet, path: one, role: Viewer, id: "getChannel", summary: "Get a channel.", answers: ok(channelForm{}, "The channel."),
			handle: func(c *call) (*reply, error) { return c.channel(c.service.Get(c.ctx(), c.by.Tenant, c.path["name"])) },
		},
		{
			method: http.MethodPut, path: one, role: Editor, id: "replaceChannel", request: channelBody{}, match: "required",
			summary: "Change a channel. Where it has [redacted], stored secrets are kept, while it sends to the same place.", answers: ok(channelForm{}, "The channel."),
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				var b channelBody
				if err := c.body(2*c.service.options.Limits.Channel, &b); err != nil {
					return nil, err
				}
				return c.channel(c.service.Replace(c.ctx(), c.by, c.path["name"], etag, ChannelInput(b)))
			},
		},
		{
			method: http.MethodDelete, path: one, role: Editor, id: "deleteChannel", match: "optional",
			summary: "Delete a channel and its routes, with all that waits for it and its dead letters.",
			answers: []answer{{http.StatusNoContent, nil, "It is deleted."}},
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				return &reply{status: http.StatusNoContent}, c.service.Delete(c.ctx(), c.by, c.path["name"], etag)
			},
		},
		{
			method: http.MethodPost, path: one + "/rename", role: Editor, id: "renameChannel", request: renameBody{}, match: "optional",
			summary: "Give a channel another name. It must be disabled, and nothing may wait for it.", answers: ok(channelForm{}, "The channel."),
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				var b renameBody
				if err := c.body(4096, &b); err != nil {
					return nil, err
				}
				return c.channel(c.service.Rename(c.ctx(), c.by, c.path["name"], etag, b.Name))
			},
		},
	}
}

type renameBody struct {
	Name string `json:"name" doc:"the channel's next name."`
}

func created() []answer {
	return []answer{{http.StatusCreated, channelForm{}, "It is created."}, {http.StatusOK, channelForm{}, "It is there already, with equal content."}}
}

// channel answers with a channel.
func (c *call) channel(one Channel, err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, body: formOf(one), etag: one.ETag}, nil
}

// create creates a channel. below is the place of channels, relative to the request.
func (c *call) create(in ChannelInput, below string) (*reply, error) {
	one, isNew, err := c.service.Create(c.ctx(), c.by, in)
	if err != nil {
		return nil, err
	}
	out := &reply{status: http.StatusOK, body: formOf(one), etag: one.ETag, location: below + url.PathEscape(one.Name)}
	if isNew {
		out.status = http.StatusCreated
	}
	return out, nil
}

func listChannels(c *call) (*reply, error) {
	from, limit, err := c.page()
	if err != nil {
		return nil, err
	}
	q := ListQuery{Text: c.text("q"), Type: c.text("type"), State: c.text("state"), Health: c.text("health"), Sort: c.text("sort")}
	for _, p := range c.endpoint.query {
		if values, ok := p.schema["enum"].([]string); ok && c.text(p.name) != "" && !slices.Contains(values, c.text(p.name)) {
			return nil, parameterError(p.name, "is not one of the values it may have", "use one of "+strings.Join(values, ", "))
		}
	}
	var out rowPage
	rows, err := c.service.List(c.ctx(), c.by.Tenant, q, func(all []Row) []Row {
		out.Total = len(all)
		first := 0
		if from.Name != "" {
			first = sort.Search(len(all), func(i int) bool { return q.behind(all[i], from) })
		}
		var page []Row
		page, out.NextCursor = cutPage(c, all[first:], limit, func(r Row) cursor { return cursor{Name: r.Name, Rank: rank(r)} })
		return page
	})
	if err != nil {
		return nil, err
	}
	out.Channels = make([]rowForm, len(rows))
	for i, r := range rows {
		out.Channels[i] = rowFormOf(r)
	}
	return &reply{status: http.StatusOK, body: out}, nil
}

// behind reports whether a row comes after a cursor.
func (q ListQuery) behind(r Row, from cursor) bool {
	return q.compare(r, rank(r), Row{Name: from.Name, folded: strings.ToLower(from.Name)}, from.Rank) > 0
}
