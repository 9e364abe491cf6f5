package manage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// OpenAPI describes the API in OpenAPI 3.1, with channels of the given types; nil = the built-in ones. It is made of
// the same tables as the API itself.
func OpenAPI(types *config.Registry) []byte {
	d := describer{schemas: map[string]any{}, types: types}
	d.channels()
	paths := map[string]map[string]any{}
	for _, e := range endpoints() {
		if paths[e.path] == nil {
			paths[e.path] = map[string]any{}
		}
		paths[e.path][strings.ToLower(e.method)] = d.operation(e)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]any{ // texts and numbers always can be
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Notification channels", "version": "1",
			"description": "Where a tenant's events go: its channels, what was tried, and what failed. Whose channels these are is decided by who asks. Errors are problem details (RFC 9457).",
			"contact":     map[string]any{"name": "Tocsin", "url": "https://github.com/tocsin-go/tocsin"},
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []any{map[string]any{"url": "."}},
		"tags":    tags(),
		"paths":   paths,
		"components": map[string]any{
			"schemas": d.schemas,
			"responses": map[string]any{"Problem": map[string]any{
				"description": "The request failed.",
				"content":     map[string]any{"application/problem+json": map[string]any{"schema": d.ref(problem{})}},
			}},
		},
	})
	return b.Bytes()
}

// tags group the operations by the first segment of their paths.
func tags() []any {
	seen := map[string]bool{}
	for _, e := range endpoints() {
		seen[tagOf(e)] = true
	}
	var all []any
	for _, name := range sortedKeys(seen) {
		all = append(all, map[string]any{"name": name, "description": "What is below /" + name + "."})
	}
	return all
}

func tagOf(e endpoint) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(e.path, "/"), "/")
	return first
}

// describer collects the schemas that operations refer to.
type describer struct {
	schemas map[string]any
	types   *config.Registry
}

func (d *describer) operation(e endpoint) map[string]any {
	parameters := []any{}
	for _, part := range strings.Split(e.path, "/") {
		if strings.HasPrefix(part, "{") {
			schema := map[string]any{"type": "string", "minLength": 1}
			if part == "{seq}" {
				schema = map[string]any{"type": "integer", "format": "int64"}
			}
			name := strings.Trim(part, "{}")
			parameters = append(parameters, map[string]any{"name": name, "in": "path", "required": true, "schema": schema, "description": "Which " + name + " it is."})
		}
	}
	for _, p := range append(slices.Clone(e.query), textParameter("tenant", "Another tenant than one's own: for the platform's operators only.")) {
		parameters = append(parameters, map[string]any{"name": p.name, "in": "query", "schema": p.schema, "description": p.doc})
	}
	if e.match != "" {
		parameters = append(parameters, map[string]any{
			"name": "If-Match", "in": "header", "required": e.match == "required", "schema": map[string]any{"type": "string"},
			"description": "The ETag that it must have, or *.",
		})
	}
	responses := map[string]any{"default": map[string]any{"$ref": "#/components/responses/Problem"}}
	for _, a := range e.answers {
		response := map[string]any{"description": a.doc}
		if a.body != nil {
			response["content"] = d.content(a.body)
		}
		if _, isChannel := a.body.(channelForm); isChannel {
			response["headers"] = map[string]any{"ETag": map[string]any{"schema": map[string]any{"type": "string"}, "description": "Changes with the channel."}}
		}
		responses[strconv.Itoa(a.status)] = response
	}
	op := map[string]any{
		"operationId": e.id, "summary": strings.TrimSuffix(first(e.summary), "."), "description": e.summary + " Rights: " + e.role.String() + ".",
		"tags": []any{tagOf(e)}, "parameters": parameters, "responses": responses,
	}
	if e.request != nil {
		op["requestBody"] = map[string]any{"required": e.id != "rotateSecret", "content": d.content(e.request)}
	}
	return op
}

// first is the first sentence of a text.
func first(text string) string {
	if i := strings.IndexAny(text, ".:"); i >= 0 {
		return text[:i]
	}
	return text
}

// content is a body, as JSON and, if it is a document, as YAML.
func (d *describer) content(body any) map[string]any {
	content := map[string]any{"application/json": map[string]any{"schema": d.ref(body)}}
	if _, isDocument := body.(documentBody); isDocument {
		content[yamlTypes[0]] = map[string]any{"schema": d.ref(body)}
	}
	return content
}

// ref refers to the schema of a body.
func (d *describer) ref(body any) map[string]any {
	switch body := body.(type) {
	case simpleCreate:
		name := "Create" + camel(body.path)
		d.schemas[name] = d.simple(body)
		return refTo(name)
	case documentBody:
		d.schemas["Configuration"] = map[string]any{
			"type": "object", "description": "Channels and routes.", "additionalProperties": false,
			"properties": map[string]any{
				"$schema": map[string]any{"type": "string"}, "version": map[string]any{"type": "integer"},
				"channels": listOf(refTo("Channel")), "routes": listOf(refTo("Route")),
			},
		}
		return refTo("Configuration")
	case json.RawMessage:
		return map[string]any{"type": "object"}
	}
	return d.refType(reflect.TypeOf(body))
}

func refTo(name string) map[string]any { return map[string]any{"$ref": "#/components/schemas/" + name} }

func listOf(items map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": items}
}

// refType refers to the schema of a struct.
func (d *describer) refType(t reflect.Type) map[string]any {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if d.schemas[name] != nil {
		return refTo(name)
	}
	properties := map[string]any{}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	d.schemas[name] = schema // before its fields, which may refer to it
	var required []string
	for i := range t.NumField() {
		f := t.Field(i)
		field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !strings.Contains(options, "omitempty") {
			required = append(required, field)
		}
		properties[field] = d.field(f)
	}
	if required != nil {
		schema["required"] = required
	}
	return refTo(name)
}

func (d *describer) field(f reflect.StructField) map[string]any {
	s := d.typeOf(f.Type, f.Tag.Get("ref"))
	if values := f.Tag.Get("enum"); values != "" {
		s["enum"] = strings.Split(values, ",")
	}
	if most, err := strconv.Atoi(f.Tag.Get("max")); err == nil {
		s["maxItems"] = most
	}
	doc := f.Tag.Get("doc")
	s["description"] = strings.ToUpper(doc[:1]) + doc[1:]
	return s
}

// typeOf is the schema of a type. of names that of what is JSON itself.
func (d *describer) typeOf(t reflect.Type, of string) map[string]any {
	switch {
	case t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface:
		if of == "Any" {
			return map[string]any{"type": "object"}
		}
		return refTo(of)
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.typeOf(t.Elem(), of)
	case reflect.Slice:
		return listOf(d.typeOf(t.Elem(), of))
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": d.typeOf(t.Elem(), of)}
	case reflect.Struct:
		return d.refType(t)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer", "format": "int64"}
	default:
		return map[string]any{"type": "integer"}
	}
}

// channels describes channels and routes by the tables of fields that they are read by.
func (d *describer) channels() {
	d.schemas["Channel"] = d.variants("Channel", "type", "A channel's settings.", nil, d.types.Types(config.Caps{}))
	route := d.object("Route", "A route's settings.", config.RouteFields(config.Caps{}))
	delete(route, "required") // the API fills in what is missing
	d.schemas["Route"] = route
}

// variants describes objects that a tag tells apart.
func (d *describer) variants(name, tag, doc string, common []config.Field, all []config.Variant) map[string]any {
	var each []any
	mapping := map[string]any{}
	for _, v := range all {
		one := name + camel(v.Name)
		s := d.object(one, v.Doc, append(slices.Clone(common), v.Fields...))
		properties, _ := s["properties"].(map[string]any)
		properties[tag] = map[string]any{"type": "string", "enum": []string{v.Name}, "description": "Says that it is this."}
		required, _ := s["required"].([]string)
		s["required"] = append([]string{tag}, required...)
		d.schemas[one] = s
		each, mapping[v.Name] = append(each, refTo(one)), "#/components/schemas/"+one
	}
	return map[string]any{"description": doc, "oneOf": each, "discriminator": map[string]any{"propertyName": tag, "mapping": mapping}}
}

// object describes an object of such fields.
func (d *describer) object(name, doc string, fields []config.Field) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, f := range fields {
		properties[f.Name] = d.configField(name+camel(f.Name), f)
		if f.Required && f.Name != "name" { // which the path may say
			required = append(required, f.Name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if doc != "" {
		s["description"] = sentence(doc)
	}
	if required != nil {
		s["required"] = required
	}
	return s
}

// sentence begins a text with a capital letter and ends it with a full stop.
func sentence(text string) string {
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

func (d *describer) configField(name string, f config.Field) map[string]any {
	s := d.oneField(name, f)
	if f.List || f.Kind == config.Masks || f.Kind == config.Headers {
		s = listOf(s)
		if f.MaxItems > 0 {
			s["maxItems"] = f.MaxItems
		}
	}
	if f.Doc != "" {
		s = maps.Clone(s)
		s["description"] = f.Doc
	}
	return s
}

// oneField describes a single value of a field.
func (d *describer) oneField(name string, f config.Field) map[string]any {
	s := map[string]any{"type": "string"}
	switch f.Kind {
	case config.Flag:
		s["type"] = "boolean"
	case config.Number:
		s["type"], s["minimum"] = "integer", f.Min
		if f.Max > 0 {
			s["maximum"] = f.Max
		}
	case config.Secret, config.Address, config.Duration:
		s["minLength"] = 1
	case config.Object, config.Masks, config.Headers:
		d.schemas[name] = d.object(name, f.Doc, f.Fields)
		return refTo(name)
	case config.Variants:
		d.schemas[name] = d.variants(name, f.Tag, f.Doc, nil, f.Variants)
		return refTo(name)
	default:
		if f.Values != nil {
			s["enum"] = f.Values
		}
		if f.Pattern != "" {
			s["pattern"] = "^(?:" + f.Pattern + ")$"
		}
		if f.Max > 0 {
			s["maxLength"] = f.Max
		}
	}
	return s
}

// simple describes the flat body of a create.
func (d *describer) simple(k simpleCreate) map[string]any {
	properties := map[string]any{
		"enabled":       map[string]any{"type": "boolean", "description": "Whether it is in use from the beginning. Default: true."},
		"event_filters": map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "description": "Types of events, such as request.approved or request.*; none = every lifecycle event."},
		"name":          map[string]any{"type": "string", "maxLength": 100, "minLength": 1, "description": "Name of the channel, and of its route: unique."},
	}
	required := []string{"name"}
	for _, f := range config.RouteFields(config.Caps{}) {
		if !k.hides(f.Name) && properties[f.Name] == nil {
			properties[f.Name] = d.configField("Route"+camel(f.Name), f)
		}
	}
	for _, t := range d.types.Types(config.Caps{}) {
		if t.Name != k.typ {
			continue
		}
		for _, f := range t.Fields {
			shown := k.shown(f.Name)
			if f.Name == "name" {
				continue
			}
			properties[shown] = d.configField("Channel"+camel(k.typ)+camel(f.Name), f)
			if f.Required || shown != f.Name || k.typ == "webhook" && f.Name == "url" {
				required = append(required, shown)
			}
		}
		if k.headers {
			properties["headers"] = map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}, "description": "Headers of every request, by name. Their values are secrets."}
		}
	}
	if k.typ == "sns" && properties["topic_arn"] == nil { // which the host offers or not
		properties["topic_arn"] = map[string]any{"type": "string", "description": "ARN of the topic."}
		required = append(required, "topic_arn")
	}
	return map[string]any{
		"type": "object", "description": fmt.Sprintf("A channel of type %s, and how it is used.", k.typ),
		"properties": properties, "required": required, "additionalProperties": false,
	}
}
