package template

import (
	"fmt"
	"strings"

	"github.com/aymerick/raymond/ast"
)

// compiler turns raymond's tree into a program and tracks where the text is in its document.
type compiler struct {
	options Options
	source  string
	lines   *lineIndex
	places  *rewritten // nil for macros, whose offsets are the source's
	texts   map[*ast.ContentStatement]*trimmed
	code    []instruction
	params  [][]string // block parameters by scope level; the root has none

	json     jsonPlace
	markup   bool // the current JSON string holds HTML
	quote    int  // source offset of the quote that opened the current JSON string
	html     htmlPlace
	url      strings.Builder // URL mode: the text before the first value
	urlKnown bool            // URL mode: scheme, host and port are complete
	urlPart  bool            // URL mode: the text begins with a path, not with an authority
	err      error
}

func (c *compiler) sourceOffset(offset int) int {
	if c.places == nil {
		return offset
	}
	return c.places.sourceOffset(offset)
}

// syntaxError keeps the first error; offset is one of the source.
func (c *compiler) syntaxError(kind Kind, offset int, message, hint string) {
	if c.err == nil {
		c.err = &SyntaxError{Position: c.lines.at(offset), Kind: kind, Message: message, Hint: hint}
	}
}

func (c *compiler) jsonError(kind Kind, offset int, message, hint string) {
	if c.err == nil {
		c.err = &JSONError{Position: c.lines.at(offset), Kind: kind, Message: message, Hint: hint}
	}
}

func (c *compiler) emit(in instruction) int {
	c.code = append(c.code, in)
	return len(c.code) - 1
}

func (c *compiler) program(p *ast.Program) {
	if p == nil {
		return
	}
	for _, n := range p.Body {
		if c.err != nil {
			return
		}
		switch n := n.(type) {
		case *ast.ContentStatement:
			text := c.texts[n]
			c.text(c.sourceOffset(n.Pos+text.left), text.value())
		case *ast.MustacheStatement:
			c.mustache(n)
		case *ast.BlockStatement:
			c.block(n)
		}
	}
}

// text emits literal text that stands at offset in the source.
func (c *compiler) text(offset int, text string) {
	if text == "" {
		return
	}
	in := instruction{op: opText, text: text, pos: offset}
	switch c.options.Mode {
	case JSON:
		in.joins = c.json.outer() == jsonOutside && joinsJSON(text[0])
		if !c.jsonText(offset, text) {
			return
		}
	case HTML:
		if f := c.html.advance(text); f != nil {
			c.htmlError(offset+f.offset, f)
		}
	case Header:
		in.text = string(appendHeader(nil, text))
	case URL:
		if endsInEscape(text) {
			c.syntaxError(KindPlace, offset+len(text)-1, "an incomplete %XX ends this text", "write the two digits here, or %25 for a percent sign")
		}
		if !c.urlKnown {
			c.url.WriteString(text)
		}
	default:
	}
	c.emit(in)
}

func (c *compiler) jsonText(offset int, text string) bool {
	quote, fault := c.json.advance(text)
	if quote >= 0 {
		c.quote = offset + quote
	}
	if fault == nil {
		inString := c.json.outer() == jsonString
		c.markup = inString && (c.markup && quote < 0 || holdsTag(text[max(0, quote):]))
		return true
	}
	at := offset + fault.offset
	switch fault.kind {
	case KindControl:
		if fault.level > 0 {
			c.innerJSONError(fault.kind, at, "has a control character inside a string",
				"write it as an escape of the inner document, such as \\\\n")
			break
		}
		c.jsonError(fault.kind, at, fmt.Sprintf("the raw control character U+%04X stands inside a string", text[fault.offset]),
			"write it as an escape such as \\n, or look for a missing quote before it")
	case KindEscape:
		if fault.level > 0 {
			c.innerJSONError(fault.kind, at, "has an escape sequence that JSON does not have",
				"a backslash of the inner document is written \\\\\\\\")
			break
		}
		c.jsonError(fault.kind, at, "JSON has no such escape sequence", "a backslash itself is written \\\\")
	case KindQuote:
		c.innerJSONError(fault.kind, at, "ends inside one of its own strings",
			"close it with \\\", or write {{json value}} for the whole document")
	default:
		c.innerJSONError(fault.kind, at, fmt.Sprintf("is deeper than %d documents in strings of documents", maxJSONLevels-1),
			"write {{json value}} for the inner one")
	}
	return false
}

// innerJSONError reports a fault of a JSON document that stands inside a string of the template's document.
func (c *compiler) innerJSONError(kind Kind, offset int, what, hint string) {
	c.jsonError(kind, offset, "the JSON document inside this string "+what, hint)
}

// value checks that a value may stand at offset, and begins the instruction that writes it.
func (c *compiler) value(offset int) instruction {
	in := instruction{op: opValue, pos: offset}
	if c.options.Mode == HTML {
		out, f := c.html.value()
		if f != nil {
			c.htmlError(offset, f)
		}
		in.out = out
		return in
	}
	if c.options.Mode != JSON {
		in.out = c.place(offset)
		return in
	}
	out, nest, ok := c.json.value()
	if !ok {
		c.insideEscapeError(offset)
	}
	in.out, in.nest = out, int8(nest)
	return in
}

// htmlError reports a place of HTML that a value would leave. With AllowRaw the author is responsible for the places.
func (c *compiler) htmlError(offset int, f *htmlFault) {
	if !c.options.AllowRaw {
		c.syntaxError(KindPlace, offset, f.message, f.hint)
	}
}

func (c *compiler) insideEscapeError(offset int) {
	hint := "finish the escape sequence before it"
	if c.options.Syntax == Handlebars {
		hint = "Handlebars takes one of two backslashes before {{ for itself: write three for a JSON \\\\ before an expression"
	}
	c.jsonError(KindBackslash, offset, "this stands inside an escape sequence of a JSON string", hint)
}

// place checks that a value, or a block, may stand at offset, and says how a value is written there.
func (c *compiler) place(offset int) output {
	switch c.options.Mode {
	case JSON:
		if !c.json.between() {
			c.insideEscapeError(offset)
		}
	case Header:
		return outHeader
	case Slack:
		return outSlack
	case URL:
		if !c.urlKnown {
			prefix := c.url.String()
			if !afterAuthority(prefix) {
				c.syntaxError(KindPlace, offset, "scheme, host and port of a URL cannot come from data",
					"write them out up to the first slash; values may follow in path, query and fragment")
			}
			c.urlKnown = true
			c.urlPart = strings.HasPrefix(prefix, "/") && !strings.HasPrefix(prefix, "//")
		}
		return outURL
	default:
	}
	return outText
}

func (c *compiler) mustache(n *ast.MustacheStatement) {
	offset := c.sourceOffset(n.Pos)
	in := c.value(offset)
	if n.Unescaped && c.options.Mode == HTML {
		if !c.options.AllowRaw {
			c.syntaxError(KindRaw, offset, "raw output is not allowed in HTML", "write {{name}} with two braces")
		}
		in.out = outText
	}
	in.arg = c.expression(n.Expression)
	if in.out == outJSONValue && in.arg.isCallOf("json") {
		in.arg = in.arg.call.args[0] // the value itself
	}
	in.markup = c.markup && !in.arg.escapes()
	if c.options.Mode == HTML && in.out == outURL && in.arg.isCallOf("url") {
		in.out = outHTML // it is encoded already
	}
	c.emit(in)
}

// block emits the jumps around the branches of a block and checks that they fit the document.
func (c *compiler) block(n *ast.BlockStatement) {
	offset := c.sourceOffset(n.Pos)
	c.place(offset)
	if c.err != nil {
		return
	}
	head := c.blockHead(n)
	if c.err != nil {
		return
	}
	loops := head.op == opEach || head.op == opSection
	scoped := loops || head.op == opWith
	before, beforeQuote, beforeHTML := c.json, c.quote, c.html

	start := c.emit(head)
	if scoped {
		c.params = append(c.params, paramsOf(n))
	}
	c.program(n.Program)
	if scoped {
		c.params = c.params[:len(c.params)-1]
		c.emit(instruction{op: opNext, target: start + 1, pos: offset})
	}
	after, afterHTML := c.json, c.html
	if loops && !beforeHTML.same(afterHTML) {
		c.htmlBlockError(KindLoop, offset, "the body of this loop begins "+beforeHTML.where()+" and ends "+afterHTML.where()+
			", or elsewhere in the same")
	}
	if c.err == nil && loops {
		if level, ok := after.join(before); !ok {
			c.loopError(offset, level, before, after)
			return
		}
	}
	c.json, c.quote, c.html = before, beforeQuote, beforeHTML
	if n.Inverse == nil {
		c.code[start].target = len(c.code)
	} else {
		jump := c.emit(instruction{op: opJump, pos: offset})
		c.code[start].target = len(c.code)
		c.program(n.Inverse)
		c.code[jump].target = len(c.code)
	}
	if ends := c.html; !c.html.join(afterHTML) {
		c.htmlBlockError(KindBranch, offset, "the branches of this block end in different places of the HTML: one "+
			afterHTML.where()+", the other "+ends.where())
		c.html = afterHTML
	}
	if c.err != nil {
		return
	}
	const hint = "open and close every string inside each branch"
	switch level, ok := c.json.join(after); {
	case ok:
	case level > 0:
		c.innerJSONError(KindBranch, offset, "is left differently by the branches of this block", hint)
	default:
		c.jsonError(KindBranch, offset, "the branches of this block end differently: one inside a string, the other outside", hint)
	}
}

// htmlBlockError reports a block after which it is not known where in the HTML it stands.
func (c *compiler) htmlBlockError(kind Kind, offset int, message string) {
	if !c.options.AllowRaw {
		c.syntaxError(kind, offset, message, "open and close every tag and attribute inside each branch and body")
	}
}

// loopError reports a loop whose body ends where it did not begin.
func (c *compiler) loopError(offset, level int, before, after jsonPlace) {
	const hint = "open and close every string inside the body"
	if level > 0 {
		c.innerJSONError(KindLoop, offset, "is not where it was after the body of this loop", hint)
		return
	}
	c.jsonError(KindLoop, offset, "the body of this loop "+loopDifference(before.outer(), after.outer()), hint)
}

func loopDifference(before, after jsonContext) string {
	if before == jsonOutside {
		return "begins outside a string and ends inside one"
	}
	if after == jsonOutside {
		return "begins inside a string and ends outside"
	}
	return "ends inside an escape sequence"
}

func paramsOf(n *ast.BlockStatement) []string {
	if n.Program != nil && n.Program.BlockParams != nil {
		return n.Program.BlockParams
	}
	if n.Program == nil && n.Inverse != nil {
		return n.Inverse.BlockParams
	}
	return nil
}

// blockHead emits nothing; it chooses the instruction that opens the block.
func (c *compiler) blockHead(n *ast.BlockStatement) instruction {
	offset := c.sourceOffset(n.Pos)
	e := n.Expression
	in := instruction{op: opSection, pos: offset}
	name := e.HelperName()
	if !isBlockHelper(name) {
		in.arg = c.expression(e)
		if in.arg.base == baseCall {
			if !in.arg.call.builtin.block {
				c.syntaxError(KindUnsupported, offset, name+" is not a block helper", "write {{"+name+" …}}, or {{#if ("+name+" …)}}")
			}
			in.op = opIf
		}
	} else {
		in.op = map[string]opcode{"if": opIf, "unless": opUnless, "with": opWith, "each": opEach}[name]
		if len(e.Params) != 1 {
			c.syntaxError(KindArity, offset, fmt.Sprintf("#%s takes one argument, not %d", name, len(e.Params)), "write {{#"+name+" path}}")
			return in
		}
		in.arg = c.operand(e.Params[0])
		in.zero = c.includeZero(e, name)
	}
	if (in.op == opIf || in.op == opUnless) && paramsOf(n) != nil {
		c.syntaxError(KindUnsupported, offset, "this block has no block parameters", "as |…| belongs to #each and #with")
	}
	return in
}

// includeZero reads the only named argument there is.
func (c *compiler) includeZero(e *ast.Expression, name string) *operand {
	if e.Hash == nil {
		return nil
	}
	var zero operand
	for _, p := range e.Hash.Pairs {
		if p.Key != "includeZero" || name != "if" && name != "unless" {
			c.syntaxError(KindArity, c.sourceOffset(p.Pos), "the named argument "+excerpt(p.Key)+" is not known here",
				"#if and #unless know includeZero=true")
			return nil
		}
		zero = c.operand(p.Val)
	}
	return &zero
}

// literalName reports whether a path is a word that is a value when it stands as an argument.
func literalName(p *ast.PathExpression) bool {
	return !p.Data && (p.Original == "null" || p.Original == "undefined")
}

// trimBrackets takes the brackets off a name such as [a b].
func trimBrackets(name string) string {
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		return name[1 : len(name)-1]
	}
	return name
}
