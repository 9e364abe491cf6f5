package config

import (
	"bytes"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
)

// node is a part of a document as it was written, in either format: what its parser leaves when the differences between
// the formats are gone.
type node struct {
	at     position
	kind   nodeKind
	text   string  // of a scalar
	items  []*node // of a list
	fields []pair  // of an object, in their order
}

// pair is a field of an object as written.
type pair struct {
	name  string
	at    position
	value *node
}

type nodeKind string // as errors name it

const (
	nullNode   nodeKind = "nothing"
	boolNode   nodeKind = "true or false"
	numberNode nodeKind = "a number"
	textNode   nodeKind = "text"
	listNode   nodeKind = "a list"
	objectNode nodeKind = "an object"
)

// Limits of documents. A configuration by hand comes nowhere near; a hostile one is refused before it costs anything.
const (
	// DefaultMaxSize is the largest document in bytes, unless Options say otherwise.
	DefaultMaxSize = 1 << 20
	maxDepth       = 32      // of lists and objects within each other
	maxNodes       = 100_000 // of a document, with all aliases written out
)

// parse reads a document in the format that its name tells, or else its beginning: JSON begins with a brace. It
// returns nil when it is not well-formed, which p then says.
func parse(src []byte, most int, p *problems) *node {
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // which some editors write before everything
	if !utf8.Valid(src) {
		p.add(position{}, "", channel.CodeInvalid, "is not valid UTF-8", "save it as UTF-8")
		return nil
	}
	switch strings.ToLower(path.Ext(p.file)) {
	case ".json":
		return parseJSON(src, p)
	case ".yaml", ".yml":
		return parseYAML(src, most, p)
	}
	if strings.HasPrefix(strings.TrimLeft(string(src), " \t\r\n"), "{") {
		return parseJSON(src, p)
	}
	return parseYAML(src, most, p)
}

// budget refuses documents that are too deep, or too large with their aliases written out: everything behind the
// parser takes its time by that size.
type budget struct {
	nodes, bytes int // so far
	maxBytes     int // of text
}

func (b *budget) spend(at position, depth, text int, p *problems) bool {
	b.nodes++
	b.bytes += text
	switch {
	case depth > maxDepth:
		p.add(at, "", channel.CodeRange, "is nested too deeply here", "no configuration needs that; remove the nesting")
	case b.spent():
		p.add(at, "", channel.CodeRange, "becomes too large here, with its aliases written out", "use fewer aliases, or several documents")
	default:
		return true
	}
	return false
}

func (b *budget) spent() bool { return b.nodes > maxNodes || b.bytes > b.maxBytes }
