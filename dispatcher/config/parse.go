package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
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
	defaultMaxSize = 1 << 20 // bytes
	maxDepth       = 32      // of lists and objects within each other
	maxNodes       = 100_000 // of a document, with all aliases written out
)

// parse reads a document in the format that its name says, or else its beginning: JSON begins with a brace. It
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

// parseJSON reads a JSON document.
func parseJSON(src []byte, p *problems) *node {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	r := jsonReader{decoder: d, src: src, problems: p, budget: budget{maxBytes: len(src)}}
	root := r.read(1)
	if root == nil {
		return nil
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		p.add(r.next(), "", channel.CodeInvalid, "goes on behind its end", "remove what follows the last brace")
		return nil
	}
	return root
}

type jsonReader struct {
	decoder  *json.Decoder
	src      []byte
	problems *problems
	budget   budget

	// The last place that was asked for, so that a document is counted through once.
	offset int
	at     position
}

// next is the place of the next token.
func (r *jsonReader) next() position {
	offset := int(r.decoder.InputOffset())
	for offset < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[offset]) >= 0 {
		offset++
	}
	return r.place(offset)
}

// place turns an offset, which is never before the last one, into a position.
func (r *jsonReader) place(offset int) position {
	if r.at.line == 0 {
		r.at = position{1, 1}
	}
	passed := r.src[r.offset:max(offset, r.offset)]
	if lines := bytes.Count(passed, []byte("\n")); lines > 0 {
		r.at.line += int32(lines)
		r.at.column = 1
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	r.at.column += int32(utf8.RuneCount(passed))
	r.offset = max(offset, r.offset)
	return r.at
}

// read reads the next value. It returns nil after a problem.
func (r *jsonReader) read(depth int) *node {
	at := r.next()
	if !r.budget.spend(at, depth, 0, r.problems) {
		return nil
	}
	token, err := r.decoder.Token()
	if err != nil {
		return r.malformed(err)
	}
	n := &node{at: at}
	switch t := token.(type) {
	case nil:
		n.kind = nullNode
	case bool:
		n.kind, n.text = boolNode, "false"
		if t {
			n.text = "true"
		}
	case json.Number:
		n.kind, n.text = numberNode, t.String()
	case string:
		n.kind, n.text = textNode, t
	case json.Delim:
		if t == '[' {
			return r.list(n, depth)
		}
		return r.object(n, depth)
	}
	return n
}

func (r *jsonReader) list(n *node, depth int) *node {
	n.kind = listNode
	for r.decoder.More() {
		item := r.read(depth + 1)
		if item == nil {
			return nil
		}
		n.items = append(n.items, item)
	}
	return r.end(n)
}

func (r *jsonReader) object(n *node, depth int) *node {
	n.kind = objectNode
	for r.decoder.More() {
		at := r.next()
		token, err := r.decoder.Token()
		if err != nil {
			return r.malformed(err)
		}
		name, _ := token.(string) // the decoder takes nothing else
		value := r.read(depth + 1)
		if value == nil {
			return nil
		}
		n.fields = append(n.fields, pair{name, at, value})
	}
	return r.end(n)
}

// end reads the closing bracket.
func (r *jsonReader) end(n *node) *node {
	if _, err := r.decoder.Token(); err != nil {
		return r.malformed(err)
	}
	return n
}

func (r *jsonReader) malformed(err error) *node {
	at, message := r.next(), "it ends in the middle"
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		message = e.Error()
		if offset := int(e.Offset) - 1; offset >= r.offset {
			at = r.place(offset)
		}
	}
	r.problems.add(at, "", channel.CodeInvalid, "is not valid JSON: "+message, "check commas, quotes and brackets around this place")
	return nil
}
