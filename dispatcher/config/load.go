package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/event"
)

// Load reads a document, in JSON or YAML by the ending of the file's name (otherwise JSON begins with a brace), and
// makes what it describes. The name is for errors; nothing is read but src. Load connects to nothing. What it costs
// is in proportion to the size of src with its aliases written out, which Options.MaxSize bounds. The error joins an
// *Error for everything that is wrong, in the order of the document; there is no Set then. What is allowed but
// probably not meant, [Set.Findings] lists.
func Load(file string, src []byte, o Options) (*Set, error) {
	if o.Stored == nil && o.Previous != nil {
		o.Stored = o.Previous.Document
	}
	l := newLoader(file, o)
	n := l.parse(src)
	if n == nil {
		return nil, l.err()
	}
	root := l.reader().readObject(n, nil, l.types.document, "")
	if root == nil {
		return nil, l.err()
	}
	d := &Document{root: root, file: file}
	for _, name := range []string{"channels", "routes"} {
		for _, part := range d.list(name) {
			part.parent = nil
		}
	}
	if o.Stored != nil {
		ignored := loader{problems: &problems{}}
		l.stored = ignored.byName(o.Stored.root.get("channels"))
	}
	return l.load(d)
}

// loader makes what a document describes, and collects what is wrong with it.
type loader struct {
	*problems
	options Options
	types   *Registry
	env     Environment // of channels that name nothing of the host's

	// What documents may name.
	networks     map[string]*netguard.Guard
	limits       map[string]netguard.Limits
	vocabularies map[string]event.Vocabulary

	filters *filters // nil = not needed so far

	isMade bool              // the values are those of a Document: nothing of them stands for a stored secret
	stored map[string]*value // channels whose secrets are kept, by name
}

func newLoader(file string, o Options) *loader {
	env := o.environment()
	return &loader{
		problems: &problems{file: file}, options: o, types: o.Types.orBuiltIn(), env: env,
		networks: networks(o, env.Guard), limits: policies(o), vocabularies: vocabularies(o),
	}
}

// parse parses a text; nil = it cannot be, which is reported.
func (l *loader) parse(src []byte) *node {
	most := cmp.Or(l.options.MaxSize, defaultMaxSize)
	if len(src) > most {
		l.add(position{}, "", channel.CodeRange, fmt.Sprintf("has more than %d bytes", most), "split it")
		return nil
	}
	return parse(src, most, l.problems)
}

func (l *loader) reader() *reader {
	return &reader{l.problems, l.options.References, l.options.Caps.withDefaults(), map[string]*regexp.Regexp{}}
}

// load makes the Set of d.
func (l *loader) load(d *Document) (*Set, error) {
	l.validateVocabularies()
	set := &Set{Document: d, env: l.env, samples: l.options.Samples, types: l.options.EventTypes, vocabularies: l.options.Vocabularies}
	l.routes(d, l.channels(d, set), set)
	if len(l.all) > 0 {
		_ = set.Close() // what was made never sent anything
		return nil, l.err()
	}
	return set, nil
}

// byName finds the channels or routes of a document by their names, and reports those that have the same one.
func (l *loader) byName(parts *value) map[string]*value {
	found := make(map[string]*value, len(parts.items()))
	for i, part := range parts.items() {
		name := part.get("name")
		if name == nil {
			continue
		}
		text := part.text("name")
		if first := found[text]; first != nil {
			l.part = indexed(parts.name(), i)
			l.report(name, channel.CodeDuplicate, "is also the name of "+indexed(parts.name(), slices.Index(parts.items(), first)), "give every one its own name")
			l.part = ""
			continue
		}
		found[text] = part
	}
	return found
}

// validateVocabularies reports mistakes of the host's, which would make filters and bodies say something else than is
// meant.
func (l *loader) validateVocabularies() {
	for _, name := range names(l.options.Vocabularies) {
		for _, err := range flatten(l.options.Vocabularies[name].Validate()) {
			l.add(position{}, "", channel.CodeInvalid, "cannot be read: of the host's vocabulary "+quoted(name)+", "+err.Error(), "have the host correct it")
		}
	}
}

// reportUnknown reports a field of v that names none of those of that kind.
func reportUnknown[T any](p *problems, v *value, field, kind string, all map[string]T) {
	at := v.get(field)
	if at == nil {
		return
	}
	if _, ok := all[v.text(field)]; !ok {
		p.report(at, channel.CodeUnknown, "names no "+kind, "name one of the "+kind+"s"+among(&p.suggester, v.text(field), all))
	}
}

// allNamed reports whether all items of a list have a name, so that a name that is not there is a mistake.
func allNamed(parts []*value) bool {
	return !slices.ContainsFunc(parts, func(v *value) bool { return v.get("name") == nil })
}
