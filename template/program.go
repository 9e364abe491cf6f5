package template

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aymerick/raymond/ast"
)

// opcode is what one instruction does.
type opcode uint8

const (
	opText    opcode = iota // append text
	opValue                 // append the operand's value
	opIf                    // go to target when the operand is false
	opUnless                // go to target when the operand is true
	opJump                  // go to target
	opWith                  // enter a scope, or go to target when the operand is empty
	opEach                  // enter a loop, or go to target when there is nothing to loop over
	opSection               // {{#name}}: loop over a list, enter a scope for the rest, or go to target when false
	opNext                  // next iteration at target, or leave the loop or scope
)

// instruction is one step of a program. The program is flat; blocks are jumps.
type instruction struct {
	op     opcode
	out    output
	joins  bool // opText: the first byte would prolong a JSON value before it
	markup bool // opValue in JSON: in a string that holds HTML, and not escaped for it
	nest   int8 // opValue in JSON: the number of strings of documents around the document it is in
	target int
	text   string
	arg    operand
	zero   *operand // opIf, opUnless: when it is true, 0 counts as true (includeZero); nil: never
	pos    int      // offset in the source
}

// base is where an operand's path begins.
type base uint8

const (
	baseThis    base = iota // the context, depth steps up
	baseRoot                // @root
	baseIndex               // @index, @key, @first, @last of the loop depth steps up
	baseKey                 //
	baseFirst               //
	baseLast                //
	baseParam               // first block parameter of the block at level depth: its value
	baseParamAt             // second block parameter: index or key
	baseLiteral             // a literal in the template
	baseCall                // a helper's result
)

// operand is an expression: a path, a literal or a call.
type operand struct {
	base    base
	depth   int
	names   []segment
	cost    int // steps for the names beyond the instruction's own, see pathCost
	literal any
	call    *helperCall
	written string // as the template has it
	pos     int
}

// pathCost is the number of steps of a path: each name is hashed, and compared where it is found.
func pathCost(names []segment) int {
	bytes := 0
	for i := range names {
		bytes += 4 + len(names[i].name)
	}
	return bytes / (2 * bytesPerStep)
}

// isCallOf reports whether o is a call of a built-in helper.
func (o *operand) isCallOf(builtin string) bool {
	return o.base == baseCall && o.call.name == builtin && o.call.builtin.call != nil
}

// escapes reports whether o is a call whose result holds no markup.
func (o *operand) escapes() bool {
	for _, name := range [...]string{"html", "url", "slack", "date", "seconds", "equal"} {
		if o.isCallOf(name) {
			return true
		}
	}
	return o.base == baseLiteral || o.isLoopVariable() && o.base != baseKey
}

// quoted is the expression as messages have it.
func (o *operand) quoted() string { return excerpt(o.written) }

// segment is a name in a path, with the list index it stands for, or -1.
type segment struct {
	name  string
	index int
}

func newSegment(name string) segment { return segment{name: name, index: listIndex(name)} }

// helperCall is a helper with its arguments. Exactly one of builtin and helper is set.
type helperCall struct {
	name    string
	builtin builtin
	helper  Helper
	args    []operand
}

// expression compiles {{name …}}: a helper's call, or a path.
func (c *compiler) expression(e *ast.Expression) operand {
	offset := c.sourceOffset(e.Path.Location().Pos)
	hasArgs := len(e.Params) > 0 || e.Hash != nil
	path, isPath := e.Path.(*ast.PathExpression)
	if !isPath { // {{"a b"}}, {{12}} and {{true}} are fields of that name
		name, _ := ast.LiteralStr(e.Path)
		if hasArgs {
			c.unknownHelperError(offset, name)
		}
		names := []segment{newSegment(name)}
		return operand{base: baseThis, names: names, cost: pathCost(names), written: name, pos: offset}
	}
	name := e.HelperName()
	if !hasArgs {
		if isBlockHelper(name) {
			c.syntaxError(KindUnsupported, offset, name+" is a block helper", "a block is written {{#"+name+" path}} … {{/"+name+"}}")
		}
		if h, ok := c.options.Helpers[name]; !ok || h.Min > 0 {
			return c.path(path) // built-in helpers need arguments: without any it is a field of that name
		}
	}
	return c.compileCall(e, offset)
}

func (c *compiler) unknownHelperError(offset int, name string) {
	hint := "a path takes no arguments"
	if s := closest(name, append(builtinNames(), sortedKeys(c.options.Helpers)...)); s != "" {
		hint = "did you mean " + s + "?"
	}
	c.syntaxError(KindHelper, offset, fmt.Sprintf("there is no helper %q", excerpt(name)), hint)
}

func (c *compiler) compileCall(e *ast.Expression, offset int) operand {
	name := e.HelperName()
	call := &helperCall{name: name}
	least, most := 0, 0
	if isBlockHelper(name) {
		c.syntaxError(KindUnsupported, offset, name+" is a block helper", "a block is written {{#"+name+" path}} … {{/"+name+"}}")
	} else if b, ok := findBuiltin(name); ok {
		call.builtin, least, most = b, b.min, b.max
	} else if h, ok := c.options.Helpers[name]; ok {
		call.helper, least, most = h, h.Min, h.Max
	} else {
		written, _ := ast.HelperNameStr(e.Path)
		c.unknownHelperError(offset, written)
	}
	if e.Hash != nil {
		c.syntaxError(KindArity, c.sourceOffset(e.Hash.Pos), name+" takes no named arguments", "")
	}
	if n := len(e.Params); n < least || most >= 0 && n > most {
		c.syntaxError(KindArity, offset, fmt.Sprintf("%s takes %s, not %d", name, arityText(least, most), n), "")
	}
	if mode := c.options.Mode; name == "url" && mode == URL || name == "slack" && mode == Slack || name == "html" && mode == HTML {
		c.syntaxError(KindUnsupported, offset, name+" would escape twice here", "leave it out: every value is escaped by itself")
	}
	if c.err != nil {
		return operand{}
	}
	for _, p := range e.Params {
		call.args = append(call.args, c.operand(p))
	}
	return operand{base: baseCall, call: call, pos: offset}
}

func arityText(least, most int) string {
	plural := func(n int) string {
		if n == 1 {
			return "1 argument"
		}
		return fmt.Sprintf("%d arguments", n)
	}
	switch {
	case most < 0:
		return "at least " + plural(least)
	case least == most:
		return plural(least)
	}
	return fmt.Sprintf("%d to %s", least, plural(most))
}

// operand compiles an argument.
func (c *compiler) operand(n ast.Node) operand {
	offset := c.sourceOffset(n.Location().Pos)
	literal := func(v any) operand { return operand{base: baseLiteral, literal: v, pos: offset} }
	switch n := n.(type) {
	case *ast.StringLiteral:
		return literal(n.Value)
	case *ast.BooleanLiteral:
		return literal(n.Value)
	case *ast.NumberLiteral:
		return literal(json.Number(n.Original))
	case *ast.SubExpression:
		at := c.sourceOffset(n.Expression.Path.Location().Pos)
		return c.compileCall(n.Expression, at)
	case *ast.PathExpression:
		if literalName(n) {
			return literal(nil)
		}
		return c.path(n)
	}
	return literal(nil)
}

func (c *compiler) path(p *ast.PathExpression) operand {
	o := operand{base: baseThis, depth: p.Depth, written: p.Original, pos: c.sourceOffset(p.Pos)}
	parts := make([]string, 0, len(p.Parts))
	for _, part := range p.Parts {
		parts = append(parts, trimBrackets(part))
	}
	switch {
	case p.Data:
		o.pos-- // the @ before the first name
		parts = c.variable(&o, parts, p.Original)
	case p.Depth == 0 && !p.Scoped && len(parts) > 0 && p.Parts[0] == parts[0]:
		parts = c.param(&o, parts)
	}
	for _, name := range parts {
		o.names = append(o.names, newSegment(name))
	}
	o.cost = pathCost(o.names)
	return o
}

func (c *compiler) variable(o *operand, parts []string, written string) []string {
	name := ""
	if len(parts) > 0 {
		name = parts[0]
	}
	switch name {
	case "root":
		o.base, o.depth = baseRoot, 0
	case "index":
		o.base = baseIndex
	case "key":
		o.base = baseKey
	case "first":
		o.base = baseFirst
	case "last":
		o.base = baseLast
	default:
		hint := "there are @root, @index, @key, @first and @last"
		if s := closest(name, []string{"root", "index", "key", "first", "last"}); s != "" {
			hint = "did you mean @" + s + "?"
		}
		c.syntaxError(KindVariable, o.pos, "there is no variable "+excerpt(written), hint)
		return nil
	}
	return parts[1:]
}

// param resolves a block parameter; the innermost block wins.
func (c *compiler) param(o *operand, parts []string) []string {
	for level := len(c.params) - 1; level > 0; level-- {
		i := slices.Index(c.params[level], parts[0])
		if i < 0 {
			continue
		}
		o.depth = level
		switch i {
		case 0:
			o.base = baseParam
		case 1:
			o.base = baseParamAt
		default:
			return append([]string{}, parts[1:]...)
		}
		return parts[1:]
	}
	return parts
}
