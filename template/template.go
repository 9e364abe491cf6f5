package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aymerick/raymond/ast"
	"github.com/aymerick/raymond/parser"
)

// Template is a compiled template. It is immutable and safe for concurrent use.
type Template struct {
	mode   Mode
	limits Limits
	lines  *lineIndex
	code   []instruction
	part   bool // URL mode: it makes the part of a URL that begins with the path
	pool   sync.Pool
}

// Compile compiles a template. What it accepts cannot crash or hang, and no value leaves its place, whatever the data.
// It takes time and memory in proportion to the source. A byte order mark at the beginning of the source is left out.
// Errors: *OptionsError (all of them, joined), *SyntaxError, or, in JSON mode, *JSONError.
func Compile(source string, o Options) (*Template, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	limits := o.Limits.withDefaults()
	if len(source) > limits.Source {
		return nil, &SyntaxError{Position: newLineIndex(source).at(limits.Source), Kind: KindLimit,
			Message: fmt.Sprintf("the template is longer than %d bytes", limits.Source)}
	}
	if at := invalidUTF8(source); at >= 0 {
		return nil, &SyntaxError{Position: newLineIndex(source).at(at), Kind: KindSyntax,
			Message: "the template is not valid UTF-8", Hint: "save it in UTF-8"}
	}
	lines := newLineIndex(source)
	if text, ok := strings.CutPrefix(source, byteOrderMark); ok { // some editors begin every file with it
		lines, source = newLineIndex(text), text
		lines.before = len(byteOrderMark)
	}
	c := &compiler{options: o, source: source, lines: lines, params: [][]string{nil}, json: newJSONPlace()}
	if o.Syntax == Macros {
		c.macros()
	} else if err := c.handlebars(limits); err != nil {
		err.Position = c.lines.at(err.Offset)
		return nil, err
	}
	if c.err == nil && c.json.outer() != jsonOutside {
		c.jsonError(KindQuote, c.quote, "this string is never closed", "close it with a quote, or look for a missing quote before it")
	}
	if c.err != nil {
		return nil, c.err
	}
	t := &Template{mode: o.Mode, limits: limits, lines: c.lines, code: slices.Clone(c.code), part: c.urlPart}
	t.pool.New = func() any { return &machine{t: t} }
	if err := t.validateWithoutData(); err != nil {
		return nil, err
	}
	return t, nil
}

// byteOrderMark is no part of the text.
const byteOrderMark = "\uFEFF"

// handlebars runs the stages before code generation. Errors have an offset only.
func (c *compiler) handlebars(limits Limits) *SyntaxError {
	places, err := rewrite(c.source, limits.CommentBlanks)
	if err != nil {
		return err
	}
	if err := checkGrammar(places.text, limits.Nesting); err != nil {
		err.Offset = places.sourceOffset(err.Offset)
		return err
	}
	tree, failure := parseTree(places.text)
	if failure != nil {
		return &SyntaxError{Kind: KindSyntax, Message: unparsed}
	}
	c.places, c.texts = places, trimWhitespace(tree)
	c.program(tree)
	return nil
}

// unparsed is the message of a defect: checkGrammar passed what the parser refuses.
const unparsed = "the template cannot be parsed"

// parseTree is raymond's parser, which panics on what it did not expect. checkGrammar lets nothing of that kind pass.
func parseTree(text string) (tree *ast.Program, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("parser panicked")
		}
	}()
	return parser.Parse(text)
}

// Mode returns the mode the template was compiled for.
func (t *Template) Mode() Mode { return t.mode }

// Render appends the text made from root to dst and returns the extended slice; on error it returns dst as it was.
//
// root is data in the normalised form (see Normalise), such as an event's decoded tree; it is read only. Errors:
// *RenderError, or *JSONError when the output is not JSON. Their texts never hold data.
func (t *Template) Render(ctx context.Context, dst []byte, root any) ([]byte, error) {
	out, _, err := t.render(ctx, dst, root, t.limits.Steps)
	return out, err
}

// render is Render with a number of steps; it returns how many of them were used.
func (t *Template) render(ctx context.Context, dst []byte, root any, steps int) (out []byte, used int, err error) {
	m := t.pool.Get().(*machine)
	m.begin(ctx, dst, root, steps)
	m.run()
	if m.err == nil {
		m.err = m.validateOutput(steps)
	}
	out, used, err = m.out, steps-m.steps-m.batch, m.err
	m.release()
	t.pool.Put(m)
	if err != nil {
		return dst, used, err
	}
	return out, used, nil
}

func (m *machine) begin(ctx context.Context, dst []byte, root any, steps int) {
	m.ctx, m.root, m.out, m.start = ctx, root, dst, len(dst)
	m.batch, m.steps, m.valueEnd = 0, steps, -1
	m.scopes = append(m.scopes[:0], scope{this: root})
}

// release drops every reference to the caller's data before the machine is pooled.
func (m *machine) release() {
	clear(m.scopes[:cap(m.scopes)])
	clear(m.args[:cap(m.args)])
	*m = machine{t: m.t, scopes: m.scopes[:0], args: m.args[:0]}
}

// validateOutput checks the finished text as a whole.
func (m *machine) validateOutput(steps int) error {
	out := m.out[m.start:]
	if m.t.mode == JSON && !json.Valid(out) {
		return m.t.invalidJSON(string(out), m.traceRender(steps))
	}
	if m.t.mode == URL {
		if m.t.part && len(out) > 1 && out[1] == '/' {
			in, _ := m.t.instructionAt(m.traceRender(steps), 1)
			return &RenderError{Position: m.t.lines.at(in.pos), Kind: KindSegment,
				Message: "an empty value leaves the path with two slashes at its start, which would make a host of what follows"}
		}
		if at := dotSegment(out); at >= 0 {
			in, _ := m.t.instructionAt(m.traceRender(steps), at)
			return &RenderError{Position: m.t.lines.at(in.pos), Kind: KindSegment,
				Message: "a path segment of the URL is . or .., which would change the path"}
		}
	}
	return nil
}
