package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
)

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
		r.at.line += lines
		r.at.column = 1
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	r.at.column += utf8.RuneCount(passed)
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
