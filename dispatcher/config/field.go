package config

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/secret"
)

// Field describes a field of a document. The tables of Fields are the one source of what is read, what is written, what
// the schema says and what errors advise.
type Field struct {
	Name string // lower case, words joined by _
	Kind Kind
	List bool   // a list of such values
	Doc  string // one or two sentences, which editors show
	// Required fields must be there. No Text, Address or Secret that is there is empty: it would mean what leaving it
	// out means, which is not what somebody meant whose program filled in nothing.
	Required bool
	Values   []string // of a Text: what it may be; nil = anything
	// Pattern is a regular expression that a Text matches as a whole, and Form says in words what it wants. Such a Text
	// may also be written as a number.
	Pattern, Form string
	Min, Max      int           // of a Number: its range; of a Text: Max characters; 0 = no bound; of a Duration: Min 1 = not zero
	MaxItems      int           // of a list; 0 = no bound
	Longest       time.Duration // of a Duration: its upper bound; 0 = none
	Word          string        // of a Duration: the word for "without end", read as -1; "" = there is none
	Fields        []Field       // of an Object
	// Variants of a Variant, told apart by the field named Tag.
	Tag      string
	Variants []Variant
	// Destination marks what says where a channel sends, and how it makes sure of that. Stored secrets are kept only
	// while these fields are as before, or whoever may edit but not read a configuration could have the secrets sent to
	// themselves.
	Destination bool

	verbatim   bool // a Text that people take for a secret: what looks like a reference is a mistake
	mayBeEmpty bool // a Text of which "" is a value
	optional   bool // a template that may make nothing
	guards     bool // protects something, so that it is a mistake to have it without a value, which is as if it were not there

	numberCap func(Caps) int           // of a Number, in place of Max
	timeCap   func(Caps) time.Duration // of a Duration, in place of Longest
	itemsCap  func(Caps) int           // of a list, in place of MaxItems
	common    []Field                  // that all Variants have

	// What prepared makes.
	tag    *Field   // of Variants: the field that tells them apart
	tables []*table // of what is an object: its one table; of Variants: one for each
}

// Variant is one of several forms of an object.
type Variant struct {
	Name   string
	Doc    string
	Fields []Field // besides the tag
}

// Kind says what a field holds.
type Kind uint8

// The kinds.
const (
	Text     Kind = iota
	Flag          // true or false
	Number        // a whole one, not negative
	Duration      // such as 90s, 15m or 2h; not negative
	// Secret is a credential: a reference such as env:NAME, as Options.References allow it, or the text itself, which
	// is shown as [redacted] from then on. Text that looks like a reference is written as literal:env:NAME.
	Secret
	// Address is a URL, one in an object. Unless the object has Masks, all behind scheme, host and port is shown as
	// [redacted].
	Address
	Masks   // a list of up to 10 secret parts of the Address: replacement and value
	Headers // a list of HTTP headers: name and one of value, secret and template
	Object
	Variants
)

//nolint:gochecknoglobals // read-only tables: those of the items of Masks and Headers
var (
	maskFields = []Field{
		{Name: "replacement", Required: true, Max: 100, Doc: "What stands in the URL and is shown, such as {token}."},
		{Name: "value", Kind: Secret, Required: true, Doc: "What is called in its place, percent-encoded where a URL needs it."},
	}
	headerFields = []Field{
		{Name: "name", Required: true, Doc: "Name of the header, unique without regard to case."},
		{Name: "value", verbatim: true, mayBeEmpty: true, Doc: "Its value, which everybody who sees the configuration can read."},
		{Name: "secret", Kind: Secret, Doc: "The value of a sensitive header, in place of value. Once saved, it stays sensitive."},
		{Name: "template", Doc: "A Handlebars template that makes the value from the event, in place of value."},
	}
)

// table lists the fields of an object: of Variants, their tag and what they have in common; and its own. Documents
// share what is in it.
type table struct {
	tag         *Field
	common, own []Field
}

// all goes through the fields in the order in which they are written.
func (t *table) all() iter.Seq[*Field] {
	return func(yield func(*Field) bool) {
		if t == nil || t.tag != nil && !yield(t.tag) {
			return
		}
		for _, fields := range [][]Field{t.common, t.own} {
			for i := range fields {
				if !yield(&fields[i]) {
					return
				}
			}
		}
	}
}

// named finds a field by its name.
func (t *table) named(name string) *Field {
	for f := range t.all() {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// names lists the names of the fields.
func (t *table) names() []string {
	var all []string
	for f := range t.all() {
		all = append(all, f.Name)
	}
	return all
}

// prepared returns fields with their tables. It is called once for each type of channel: documents share them.
func prepared(fields []Field) []Field {
	all := slices.Clone(fields)
	for i := range all {
		f := &all[i]
		switch f.Kind {
		case Masks:
			f.tables = []*table{{own: maskFields}}
		case Headers:
			f.tables = []*table{{own: headerFields}}
		case Object:
			f.tables = []*table{{own: prepared(f.Fields)}}
		case Variants:
			f.prepareVariants()
		default: // no object
		}
	}
	return all
}

func (f *Field) prepareVariants() {
	names := make([]string, len(f.Variants))
	docs := make([]string, len(f.Variants))
	for i, v := range f.Variants {
		names[i], docs[i] = v.Name, v.Name+": "+v.Doc
	}
	f.tag = &Field{Name: f.Tag, Required: true, Values: names, Doc: strings.Join(docs, "\n")}
	f.tables = make([]*table, len(f.Variants))
	for i, v := range f.Variants {
		f.tables[i] = &table{tag: f.tag, common: f.common, own: prepared(v.Fields)}
	}
}

// items is the table of the objects that f holds, if it is not a Variant.
func (f *Field) items() *table { return f.tables[0] }

// isList reports whether f holds a list.
func (f *Field) isList() bool { return f.List || f.Kind == Masks || f.Kind == Headers }

// maxItems is the largest number of items of a list; 0 = no bound.
func (f *Field) maxItems(c Caps) int {
	switch {
	case f.Kind == Masks:
		return secret.MaxMasks
	case f.itemsCap != nil:
		return f.itemsCap(c)
	}
	return f.MaxItems
}

// isObject reports whether what f holds, or each of its items, is an object.
func (f *Field) isObject() bool {
	return f.Kind == Masks || f.Kind == Headers || f.Kind == Object || f.Kind == Variants
}

// maxNumber is the largest value of a Number; 0 = no bound.
func (f *Field) maxNumber(c Caps) int {
	if f.numberCap != nil {
		return f.numberCap(c)
	}
	return f.Max
}

// maxTime is the largest value of a Duration; 0 = no bound.
func (f *Field) maxTime(c Caps) time.Duration {
	if f.timeCap != nil {
		return f.timeCap(c)
	}
	return f.Longest
}

// variant returns the table of the variant of that name; nil = there is none.
func (f *Field) variant(name string) *table {
	if i := slices.IndexFunc(f.Variants, func(v Variant) bool { return v.Name == name }); i >= 0 {
		return f.tables[i]
	}
	return nil
}
