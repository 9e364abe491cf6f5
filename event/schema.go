package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// schema is the part of JSON Schema that describing events takes. Its fields are encoded in this order.
type schema struct {
	Dialect       string     `json:"$schema,omitempty"`
	Title         string     `json:"title,omitempty"`
	Description   string     `json:"description,omitempty"`
	Type          any        `json:"type,omitempty"` // a string or a list of strings
	Const         any        `json:"const,omitempty"`
	Enum          []string   `json:"enum,omitempty"`
	Pattern       string     `json:"pattern,omitempty"`
	MinLength     int        `json:"minLength,omitempty"`
	MaxLength     int        `json:"maxLength,omitempty"`
	Minimum       int64      `json:"minimum,omitempty"`
	Below         int64      `json:"exclusiveMaximum,omitempty"`
	Items         *schema    `json:"items,omitempty"`
	MaxItems      int        `json:"maxItems,omitempty"`
	MaxProperties int        `json:"maxProperties,omitempty"`
	Names         *schema    `json:"propertyNames,omitempty"`
	Additional    *schema    `json:"additionalProperties,omitempty"`
	Properties    properties `json:"properties,omitempty"`
	Required      []string   `json:"required,omitempty"`
}

// properties keeps the order of the Go fields, which a map would lose.
type properties []property

type property struct {
	name   string
	schema *schema
}

// MarshalJSON writes an object with the properties in their order.
func (p properties) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, one := range p {
		if i > 0 {
			b = append(b, ',')
		}
		value, err := json.Marshal(one.schema)
		if err != nil {
			return nil, err
		}
		b = append(appendText(b, one.name), ':')
		b = append(b, value...)
	}
	return append(b, '}'), nil
}

func (s *schema) encode() []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(s) // cannot fail: strings and integers only
	return out.Bytes()
}

// formSchema describes the JSON form of events of one type.
func formSchema(typ Type, doc string, payload reflect.Type) *schema {
	data := structSchema(payload)
	data.Description = "What happened."
	text := func(doc string) *schema {
		return &schema{Description: doc, Type: "string", MinLength: 1, MaxLength: maxTextLength}
	}
	return &schema{
		Dialect:     "https://json-schema.org/draft/2020-12/schema",
		Title:       string(typ),
		Description: doc,
		Type:        "object",
		Properties: properties{
			{"id", &schema{
				Description: "Id of the event, the same in every delivery.",
				Type:        "string",
				Pattern:     fmt.Sprintf("^[A-Za-z0-9_-]{1,%d}$", maxIDLength),
			}},
			{"event_type", &schema{Description: "Type of the event.", Const: string(typ)}},
			{"event_time", &schema{
				Description: "When it happened, in epoch seconds with up to nine fraction digits.",
				Type:        "number", Minimum: firstSecond, Below: lastSecond + 1,
			}},
			{"test", &schema{Description: "Present and true when the event is only a test.", Const: true}},
			{"tenant", text("Customer the event belongs to.")},
			{"subject", text("What the event is about; the same for all events about one thing.")},
			{"source", text("Where the event comes from.")},
			{attributesField, &schema{
				Description:   "Further facts, by name.",
				Type:          "object",
				MaxProperties: maxAttributes,
				Names:         &schema{Pattern: fmt.Sprintf("^[A-Za-z0-9_.-]{1,%d}$", maxAttributeName)},
				Additional:    &schema{Type: "string", MaxLength: maxAttributeValue},
			}},
			{shortenedField, &schema{
				Description: "Fields that are not complete because the event was too large; absent when all are.",
				Type:        "array",
				MaxItems:    maxShortened,
				Items:       &schema{Type: "string", MinLength: 1, MaxLength: maxShortenedName},
			}},
			{dataField, data},
		},
		Required: []string{"id", "event_type", "event_time", "data"},
	}
}

// structSchema describes what encoding/json makes of a struct. Fields of embedded structs stand among its own.
func structSchema(t reflect.Type) *schema {
	s := &schema{Type: "object"}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			inner := structSchema(f.Type)
			s.Properties = append(s.Properties, inner.Properties...)
			s.Required = append(s.Required, inner.Required...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		always := options == ""
		value := valueSchema(f.Type)
		value.Description = f.Tag.Get("doc")
		if f.Tag.Get("blank") == "true" {
			value.Enum = append([]string{""}, value.Enum...)
		}
		if always && f.Type == reflect.TypeFor[Timestamp]() {
			value.Type = []string{"number", "null"} // the zero Timestamp is null
		}
		s.Properties = append(s.Properties, property{name, value})
		if always {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

// enum is implemented by string types whose values are a closed set.
type enum interface{ enum() []string }

// valueSchema describes one value of the kinds that catalogue payloads use.
func valueSchema(t reflect.Type) *schema {
	if t == reflect.TypeFor[Timestamp]() {
		return &schema{Type: "number"}
	}
	if v, ok := reflect.Zero(t).Interface().(enum); ok {
		return &schema{Type: "string", Enum: v.enum()}
	}
	switch t.Kind() {
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		return &schema{Type: "integer"}
	case reflect.Slice:
		return &schema{Type: "array", Items: valueSchema(t.Elem())}
	case reflect.Struct:
		return structSchema(t)
	}
	return &schema{} // says nothing; a test sees to it that every field of the catalogue has a kind
}
