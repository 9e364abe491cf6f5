package template

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aymerick/raymond/ast"
)

// expression compiles {{name …}}: a helper's call, or a path.
func (c *compiler) expression(e *ast.Expression) operand {
	offset := c.at(e.Path.Location().Pos)
	hasArgs := len(e.Params) > 0 || e.Hash != nil
	path, isPath := e.Path.(*ast.PathExpression)
	if !isPath { // {{"a b"}}, {{12}} and {{true}} are fields of that name
		name, _ := ast.LiteralStr(e.Path)
		if hasArgs {
			c.unknownHelper(offset, name)
		}
		names := []segment{newSegment(name)}
		return operand{base: baseThis, names: names, cost: pathCost(names), written: name, pos: offset}
	}
	name := e.HelperName()
	if !hasArgs {
		if isBlockHelper(name) {
			c.syntax(KindUnsupported, offset, name+" is a block helper", "a block is written {{#"+name+" path}} … {{/"+name+"}}")
		}
		if h, ok := c.options.Helpers[name]; !ok || h.Min > 0 {
			return c.path(path) // built-in helpers need arguments: without any it is a field of that name
		}
	}
	return c.callOf(e, offset)
}

func (c *compiler) unknownHelper(offset int, name string) {
	hint := "a path takes no arguments"
	if s := closest(name, append(builtinNames(), sortedKeys(c.options.Helpers)...)); s != "" {
		hint = "did you mean " + s + "?"
	}
	c.syntax(KindHelper, offset, fmt.Sprintf("there is no helper %q", short(name)), hint)
}

func (c *compiler) callOf(e *ast.Expression, offset int) operand {
	name := e.HelperName()
	call := &call{name: name}
	least, most := 0, 0
	if isBlockHelper(name) {
		c.syntax(KindUnsupported, offset, name+" is a block helper", "a block is written {{#"+name+" path}} … {{/"+name+"}}")
	} else if b, ok := findBuiltin(name); ok {
		call.builtin, least, most = b, b.min, b.max
	} else if h, ok := c.options.Helpers[name]; ok {
		call.helper, least, most = h, h.Min, h.Max
	} else {
		written, _ := ast.HelperNameStr(e.Path)
		c.unknownHelper(offset, written)
	}
	if e.Hash != nil {
		c.syntax(KindArity, c.at(e.Hash.Pos), name+" takes no named arguments", "")
	}
	if n := len(e.Params); n < least || most >= 0 && n > most {
		c.syntax(KindArity, offset, fmt.Sprintf("%s takes %s, not %d", name, arityText(least, most), n), "")
	}
	if mode := c.options.Mode; name == "url" && mode == URL || name == "slack" && mode == Slack || name == "html" && mode == HTML {
		c.syntax(KindUnsupported, offset, name+" would escape twice here", "leave it out: every value is escaped by itself")
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
	offset := c.at(n.Location().Pos)
	literal := func(v any) operand { return operand{base: baseLiteral, literal: v, pos: offset} }
	switch n := n.(type) {
	case *ast.StringLiteral:
		return literal(n.Value)
	case *ast.BooleanLiteral:
		return literal(n.Value)
	case *ast.NumberLiteral:
		return literal(json.Number(n.Original))
	case *ast.SubExpression:
		at := c.at(n.Expression.Path.Location().Pos)
		return c.callOf(n.Expression, at)
	case *ast.PathExpression:
		if literalName(n) {
			return literal(nil)
		}
		return c.path(n)
	}
	return literal(nil)
}

func (c *compiler) path(p *ast.PathExpression) operand {
	o := operand{base: baseThis, depth: p.Depth, written: p.Original, pos: c.at(p.Pos)}
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
		c.syntax(KindVariable, o.pos, "there is no variable "+short(written), hint)
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
