package config

import (
	"cmp"
	"fmt"
	"regexp"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
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
	if o.Lenient {
		return loadLenient(file, src, o)
	}
	l := newLoader(file, o)
	n := l.parse(src)
	if n == nil {
		return nil, l.err()
	}
	return l.loadNode(n, nil)
}

// loadNode makes what n describes. aside are the parts that are known to be broken, by the list that they are in and
// their index.
func (l *loader) loadNode(n *node, aside brokenParts) (*Set, error) {
	root := l.reader().readObject(aside.without(n), nil, l.types.document, "")
	if root == nil {
		return nil, l.err()
	}
	d := &Document{root: root, file: l.file}
	aside.insert(root)
	for _, name := range []string{"channels", "routes"} {
		for _, part := range d.list(name) {
			part.parent = nil
		}
	}
	o := l.options
	if o.Stored != nil {
		l.stored = newParts(o.Stored, "channels", nil)
	}
	return l.load(d)
}

// Load makes what the document describes, as the function [Load] does of a text. Nothing is read again: Caps were
// applied, and secrets by reference were found, when the document was read or edited; Options.Stored means nothing.
// Errors have no lines if the document was edited. Channels that were not edited are those of Options.Previous.
func (d *Document) Load(o Options) (*Set, error) {
	l := newLoader(d.file, o)
	l.isMade, l.placeless = true, d.edited
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

	isMade bool  // the values are those of a Document: nothing of them stands for a stored secret
	stored parts // channels whose secrets are kept

	// What the document has.
	channelParts, routeParts parts
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
	if p := l.options.Previous; p != nil && p.tenant != l.options.Tenant {
		l.add(position{}, "", channel.CodeConflict, "is for another tenant than the Set before it", "have the host give Options.Previous of the same tenant")
		return nil, l.err()
	}
	l.channelParts, l.routeParts = newParts(d, "channels", l.problems), newParts(d, "routes", l.problems)
	set := &Set{Document: d, tenant: l.options.Tenant, env: l.env, samples: l.options.Samples, types: l.options.EventTypes, vocabularies: l.options.Vocabularies}
	l.routes(l.channels(set), set)
	set.Broken = d.broken()
	if len(l.all) > 0 {
		_ = set.Close() // what was made never sent anything
		return nil, l.err()
	}
	return set, nil
}

// validateVocabularies reports mistakes of the host's, which would make filters and bodies say something else than is
// meant.
func (l *loader) validateVocabularies() {
	for _, name := range names(l.options.Vocabularies) {
		for _, err := range joined.Errors(l.options.Vocabularies[name].Validate()) {
			l.add(position{}, "", channel.CodeInvalid, "cannot be read: of the host's vocabulary "+quoted(name)+", "+err.Error(), "have the host correct it")
		}
	}
}
