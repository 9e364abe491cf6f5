package manage

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

type eventTypeForm struct {
	Type   string `json:"type" doc:"The type."`
	Own    bool   `json:"own,omitempty" doc:"Whether it is the product's own, and not of the catalogue."`
	Schema any    `json:"schema,omitempty" ref:"Any" doc:"JSON Schema of its events; absent if there is none, and in lists."`
	Sample any    `json:"sample,omitempty" ref:"Any" doc:"A realistic event; absent if there is none, and in lists."`
}

type eventTypeList struct {
	EventTypes []eventTypeForm `json:"event_types" doc:"The types."`
}

// fieldForm is a field of a channel or a route, from which a form can be made.
type fieldForm struct {
	Name        string        `json:"name" doc:"Name of the field."`
	Kind        string        `json:"kind" enum:"text,flag,number,duration,secret,address,masks,headers,object,variants" doc:"What it holds."`
	List        bool          `json:"list,omitempty" doc:"Whether it is a list of such values."`
	Doc         string        `json:"doc,omitempty" doc:"What it means."`
	Required    bool          `json:"required,omitempty" doc:"Whether it must be there."`
	Values      []string      `json:"values,omitempty" doc:"What a text may be; absent = anything."`
	Pattern     string        `json:"pattern,omitempty" doc:"Regular expression that a text matches as a whole."`
	Min         int           `json:"min,omitempty" doc:"The least number; of a time 1 = not zero."`
	Max         int           `json:"max,omitempty" doc:"The greatest number, or the most characters of a text."`
	MaxItems    int           `json:"max_items,omitempty" doc:"The most items of a list."`
	Longest     string        `json:"longest,omitempty" doc:"The longest time."`
	Word        string        `json:"word,omitempty" doc:"The word for a time without end."`
	Destination bool          `json:"destination,omitempty" doc:"Whether stored secrets have to be given again when it changes."`
	Fields      []fieldForm   `json:"fields,omitempty" doc:"Those of an object."`
	Tag         string        `json:"tag,omitempty" doc:"Name of the field that tells variants apart."`
	Variants    []variantForm `json:"variants,omitempty" doc:"The variants."`
}

type variantForm struct {
	Name   string      `json:"name" doc:"Value of the tag, or name of the type."`
	Doc    string      `json:"doc,omitempty" doc:"What it is."`
	Fields []fieldForm `json:"fields" doc:"Its fields, besides the tag."`
}

type channelTypeList struct {
	ChannelTypes []variantForm `json:"channel_types" doc:"The types of channels, with their fields besides type."`
	RouteFields  []fieldForm   `json:"route_fields" doc:"The fields of routes."`
}

func catalogueEndpoints() []endpoint {
	return []endpoint{
		{
			method: http.MethodGet, path: "/event-types", role: Viewer, id: "listEventTypes", summary: "List the types of events.", answers: ok(eventTypeList{}, "The types."),
			handle: func(c *call) (*reply, error) {
				out := eventTypeList{EventTypes: []eventTypeForm{}}
				for _, t := range event.Catalogue() {
					out.EventTypes = append(out.EventTypes, eventTypeForm{Type: string(t)})
				}
				for _, t := range c.service.configOf(c.by.Tenant).EventTypes {
					out.EventTypes = append(out.EventTypes, eventTypeForm{Type: string(t), Own: true})
				}
				return &reply{status: http.StatusOK, body: out}, nil
			},
		},
		{
			method: http.MethodGet, path: "/event-types/{type}", role: Viewer, id: "getEventType", summary: "Get the schema and a sample of a type of events.", answers: ok(eventTypeForm{}, "The type."),
			handle: func(c *call) (*reply, error) {
				t := event.Type(c.path["type"])
				f := eventTypeForm{Type: string(t), Own: true}
				if schema, ok := event.Schema(t); ok {
					f.Schema, f.Own = json.RawMessage(schema), false
				}
				sample, hasSample := c.service.sample(c.by.Tenant, t)
				if hasSample {
					f.Sample = sample.JSON()
				}
				for _, own := range c.service.configOf(c.by.Tenant).EventTypes {
					hasSample = hasSample || own == t
				}
				if !hasSample {
					return nil, newError(CodeNotFound, fmt.Sprintf("there is no type of events %q", clip(string(t))), "name one of the list")
				}
				return &reply{status: http.StatusOK, body: f}, nil
			},
		},
		{
			method: http.MethodGet, path: "/channel-types", role: Viewer, id: "listChannelTypes", summary: "List the types of channels and their fields.", answers: ok(channelTypeList{}, "The types."),
			handle: func(c *call) (*reply, error) {
				o := c.service.configOf(c.by.Tenant)
				return &reply{status: http.StatusOK, body: channelTypeList{variantForms(o.Types.Types(o.Caps)), fieldForms(config.RouteFields(o.Caps))}}, nil
			},
		},
		{
			method: http.MethodGet, path: "/openapi.json", role: Viewer, id: "getOpenAPI", summary: "Get this description.", answers: ok(json.RawMessage{}, "The description."),
			handle: func(c *call) (*reply, error) {
				return &reply{status: http.StatusOK, text: OpenAPI(c.service.configOf(c.by.Tenant).Types), mediaType: "application/json"}, nil
			},
		},
	}
}

func kindName(k config.Kind) string {
	return [...]string{"text", "flag", "number", "duration", "secret", "address", "masks", "headers", "object", "variants"}[k]
}

func fieldForms(fields []config.Field) []fieldForm {
	all := make([]fieldForm, len(fields))
	for i, f := range fields {
		all[i] = fieldForm{
			Name: f.Name, Kind: kindName(f.Kind), List: f.List, Doc: f.Doc, Required: f.Required, Values: f.Values, Pattern: f.Pattern, Min: f.Min, Max: f.Max,
			MaxItems: f.MaxItems, Word: f.Word, Destination: f.Destination, Fields: fieldForms(f.Fields), Tag: f.Tag, Variants: variantForms(f.Variants),
		}
		if f.Longest > 0 {
			all[i].Longest = f.Longest.String()
		}
	}
	return all
}

func variantForms(variants []config.Variant) []variantForm {
	all := make([]variantForm, len(variants))
	for i, v := range variants {
		all[i] = variantForm{v.Name, v.Doc, fieldForms(v.Fields)}
	}
	return all
}
