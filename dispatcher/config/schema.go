package config

import "strings"

// Schema returns the JSON Schema (draft 2020-12) of documents with channels of the given types; nil = the built-in
// ones. It is for editors, with the default [Caps]: they complete names of fields, show what these mean, and mark what
// is wrong with a single field. What only the whole document shows, such as a name that is used twice, [Load] reports.
func Schema(types *Registry) []byte {
	object := objectSchema(types.orBuiltIn().document, "")
	return indented(append([]written{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "Channels and routes of Tocsin"},
	}, object...))
}

func objectSchema(t *table, doc string) []written {
	var properties []written
	var required []any
	for f := range t.all() {
		properties = append(properties, written{f.Name, fieldSchema(f)})
		if f.Required {
			required = append(required, f.Name)
		}
	}
	s := described(doc, written{"type", "object"}, written{"properties", properties}, written{"additionalProperties", false})
	if required != nil {
		s = append(s, written{"required", required})
	}
	return s
}

func described(doc string, s ...written) []written {
	if doc == "" {
		return s
	}
	return append([]written{{"description", doc}}, s...)
}

func fieldSchema(f *Field) []written {
	if !f.isList() {
		return oneSchema(f, f.Doc)
	}
	s := described(f.Doc, written{"type", "array"}, written{"items", oneSchema(f, "")})
	if f.Required {
		s = append(s, written{"minItems", 1})
	}
	if most := f.maxItems(Caps{}.withDefaults()); most > 0 {
		s = append(s, written{"maxItems", most})
	}
	return s
}

// oneSchema is the schema of a single value of f, or of an item of its list.
func oneSchema(f *Field, doc string) []written {
	switch f.Kind {
	case Flag:
		return described(doc, written{"type", "boolean"})
	case Number:
		s := described(doc, written{"type", "integer"}, written{"minimum", f.Min})
		if most := f.maxNumber(Caps{}.withDefaults()); most > 0 {
			s = append(s, written{"maximum", most})
		}
		return s
	case Duration:
		s := described(doc, written{"type", "string"}, written{"pattern", durationPattern(`\d`, f.Word)})
		if f.Min > 0 {
			s = append(s, written{"not", []written{{"pattern", durationPattern("0", "")}}})
		}
		return s
	case Secret:
		return described(doc, written{"type", "string"}, written{"minLength", 1})
	case Address:
		return described(doc, written{"type", "string"}, written{"minLength", 1}, written{"not", []written{{"pattern", "^(env|file):"}}})
	case Object, Masks, Headers:
		return objectSchema(f.items(), doc)
	case Variants:
		return variantSchema(f, doc)
	default:
		return described(doc, textSchema(f)...)
	}
}

// durationPattern matches times of such digits, and the word.
func durationPattern(digit, word string) string {
	pattern := strings.ReplaceAll(`^\+?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$|^\d+d((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$|^0$`, `\d`, digit)
	if word != "" {
		pattern += "|^" + word + "$"
	}
	return pattern
}

func textSchema(f *Field) []written {
	s := []written{{"type", "string"}}
	if f.Values != nil {
		s = append(s, written{"enum", texts(f.Values)})
	}
	if f.Required || !f.mayBeEmpty && f.Values == nil {
		s = append(s, written{"minLength", 1})
	}
	if f.Max > 0 {
		s = append(s, written{"maxLength", f.Max})
	}
	if f.Pattern != "" {
		s[0].value = []any{"string", "integer"}
		s = append(s, written{"pattern", "^(?:" + f.Pattern + ")$"})
	}
	return s
}

// variantSchema first wants a tag that is known, and then what that tag wants: an editor so marks the one field that is
// wrong, not that none of the variants fits.
func variantSchema(f *Field, doc string) []written {
	var all []any
	for _, v := range f.Variants {
		is := []written{{f.Tag, []written{{"const", v.Name}}}}
		all = append(all, []written{
			{"if", []written{{"properties", is}, {"required", []any{f.Tag}}}},
			{"then", objectSchema(f.variant(v.Name), "")},
		})
	}
	return described(doc, written{"type", "object"}, written{"required", []any{f.Tag}},
		written{"properties", []written{{f.Tag, fieldSchema(f.tag)}}}, written{"allOf", all})
}

func texts(all []string) []any {
	list := make([]any, len(all))
	for i, s := range all {
		list[i] = s
	}
	return list
}
