package template

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aymerick/raymond/ast"
	"github.com/aymerick/raymond/lexer"
)

// checker proves that the tokens are a sentence of raymond's grammar before its parser sees them. The parser reports
// lines only, leaks its lexer's goroutine when it fails, and recurses without bound; after this check it cannot fail.
// Error positions are offsets into the rewritten text.
type checker struct {
	tokens []lexer.Token
	i      int
	limit  int // nesting
	blocks int
	calls  int
	err    *SyntaxError
}

// precheck drains raymond's lexer, so that its goroutine ends, and checks the grammar.
func precheck(text string, nesting int) *SyntaxError {
	c := &checker{tokens: lexer.Collect(text), limit: nesting}
	c.program()
	if c.err == nil && c.peek().Kind != lexer.TokenEOF {
		c.unexpectedStatement()
	}
	return c.err
}

func (c *checker) peek() lexer.Token { return c.tokens[c.i] }

func (c *checker) is(kinds ...lexer.TokenKind) bool {
	for _, k := range kinds {
		if c.tokens[c.i].Kind == k {
			return true
		}
	}
	return false
}

// take consumes a token; the last one, the end or the lexer's error, stays.
func (c *checker) take() lexer.Token {
	t := c.tokens[c.i]
	if c.i < len(c.tokens)-1 {
		c.i++
	}
	return t
}

// fail keeps the first error and goes to the end, where no rule matches any more.
func (c *checker) fail(kind Kind, t lexer.Token, message, hint string) {
	if c.err == nil {
		c.err = &SyntaxError{Position: Position{Offset: t.Pos}, Kind: kind, Message: message, Hint: hint}
	}
	c.i = len(c.tokens) - 1
}

func (c *checker) unexpectedStatement() {
	t := c.peek()
	switch t.Kind {
	case lexer.TokenError:
		c.fail(KindSyntax, t, lexerMessage(t), "")
	case lexer.TokenOpenEndBlock:
		c.fail(KindSyntax, t, "this closing tag has no open block", "remove it, or open the block with {{#")
	case lexer.TokenInverse, lexer.TokenOpenInverseChain:
		c.fail(KindSyntax, t, "this else belongs to no block", "a block opens with {{# and has one else")
	default:
		c.fail(KindSyntax, t, "unexpected "+tokenName(t), "")
	}
}

func (c *checker) program() {
	for {
		switch c.peek().Kind {
		case lexer.TokenContent, lexer.TokenComment:
			c.take()
		case lexer.TokenOpen, lexer.TokenOpenUnescaped:
			c.mustache()
		case lexer.TokenOpenBlock:
			c.block()
		case lexer.TokenOpenInverse:
			c.inverse()
		default:
			return
		}
	}
}

func (c *checker) mustache() {
	open := c.take()
	c.expression(open)
	if open.Kind == lexer.TokenOpenUnescaped {
		c.close(open, lexer.TokenCloseUnescaped)
	} else {
		c.close(open, lexer.TokenClose)
	}
}

// close checks the braces that end a tag; this is where JSON braces and mustaches collide.
func (c *checker) close(open lexer.Token, want lexer.TokenKind) {
	if c.is(want) {
		c.take()
		return
	}
	t := c.peek()
	switch {
	case want == lexer.TokenClose && c.is(lexer.TokenCloseUnescaped, lexer.TokenCloseRawBlock):
		c.fail(KindSyntax, t, t.Val+" does not close "+open.Val, "if the last } belongs to JSON, put a space before it: }} }")
	case want == lexer.TokenCloseUnescaped && c.is(lexer.TokenClose, lexer.TokenCloseRawBlock):
		c.fail(KindSyntax, t, t.Val+" does not close "+open.Val, "{{{ is closed by }}}; if the first { or the last } belongs to JSON, put a space between it and the mustache")
	case c.is(lexer.TokenError):
		c.fail(KindSyntax, t, lexerMessage(t), "")
	default:
		c.fail(KindSyntax, t, "unexpected "+tokenName(t)+" in "+open.Val, "")
	}
}

// enter counts one more open block.
func (c *checker) enter(open lexer.Token) {
	if c.blocks++; c.blocks > c.limit {
		c.fail(KindLimit, open, fmt.Sprintf("blocks are nested deeper than %d", c.limit), "")
	}
}

func (c *checker) block() {
	before := c.blocks
	open, name := c.openBlock()
	c.program()
	c.chain()
	c.closeBlock(open, name)
	c.blocks = before
}

func (c *checker) inverse() {
	before := c.blocks
	open, name := c.openBlock()
	c.program()
	if c.is(lexer.TokenInverse) {
		c.take()
		c.program()
	}
	c.closeBlock(open, name)
	c.blocks = before
}

// chain checks the else branches. raymond's parser nests every {{else if}} in the one before.
func (c *checker) chain() {
	for c.is(lexer.TokenOpenInverseChain) {
		c.openBlock()
		c.program()
	}
	if c.is(lexer.TokenInverse) {
		c.take()
		c.program()
	}
}

func (c *checker) openBlock() (lexer.Token, string) {
	open := c.take()
	c.enter(open)
	name := c.expression(open)
	if c.is(lexer.TokenOpenBlockParams) {
		c.take()
		if !c.is(lexer.TokenID) {
			c.fail(KindSyntax, c.peek(), "a name is missing between the bars", "write as |name|")
		}
		for c.is(lexer.TokenID) {
			c.take()
		}
		if !c.is(lexer.TokenCloseBlockParams) {
			c.fail(KindSyntax, c.peek(), "the names after as must end with |", "write as |name|")
		}
		c.take()
	}
	c.close(open, lexer.TokenClose)
	return open, name
}

func (c *checker) closeBlock(open lexer.Token, name string) {
	if c.err != nil {
		return
	}
	if c.is(lexer.TokenEOF) {
		c.fail(KindSyntax, open, "the block "+name+" is never closed", "close it with {{/"+name+"}}")
		return
	}
	if !c.is(lexer.TokenOpenEndBlock) {
		c.unexpectedStatement()
		return
	}
	end := c.take()
	at := c.peek()
	got := c.name(end)
	if c.err == nil && got != name {
		c.fail(KindSyntax, at, fmt.Sprintf("{{/%s}} cannot close the block %s", got, name), "close it with {{/"+name+"}} first")
		return
	}
	c.close(end, lexer.TokenClose)
}

// expression checks: name, parameters, named parameters. It returns the name as raymond compares it with the closing tag.
func (c *checker) expression(open lexer.Token) string {
	name := c.name(open)
	for !c.isPair() && c.is(lexer.TokenOpenSexpr, lexer.TokenBoolean, lexer.TokenNumber, lexer.TokenString, lexer.TokenData, lexer.TokenID) {
		c.param(open)
	}
	for c.isPair() {
		c.take()
		c.take()
		c.param(open)
	}
	return name
}

func (c *checker) isPair() bool {
	return c.is(lexer.TokenID) && c.tokens[c.i+1].Kind == lexer.TokenEquals
}

func (c *checker) param(open lexer.Token) {
	if !c.is(lexer.TokenOpenSexpr) {
		c.name(open)
		return
	}
	paren := c.take()
	if c.calls++; c.calls > c.limit {
		c.fail(KindLimit, paren, fmt.Sprintf("subexpressions are nested deeper than %d", c.limit), "")
	}
	c.expression(paren)
	if c.err == nil && !c.is(lexer.TokenCloseSexpr) {
		if t := c.peek(); c.is(lexer.TokenError) {
			c.fail(KindSyntax, t, lexerMessage(t), "")
		} else {
			c.fail(KindSyntax, t, "unexpected "+tokenName(t)+" in a subexpression", "close the subexpression with )")
		}
	}
	c.take()
	c.calls--
}

// name checks a literal or a path and returns raymond's canonical form of it.
func (c *checker) name(open lexer.Token) string {
	t := c.peek()
	switch t.Kind {
	case lexer.TokenString:
		return c.take().Val
	case lexer.TokenBoolean:
		return strings.ToLower(c.take().Val)
	case lexer.TokenNumber:
		if _, err := strconv.ParseFloat(t.Val, 64); err != nil || numberLength(t.Val+" ") != len(t.Val) {
			c.fail(KindSyntax, t, t.Val+" is not a number", "")
			return ""
		}
		c.take()
		n, isInt := strconv.Atoi(t.Val)
		if isInt == nil {
			return ast.NewNumberLiteral(0, 0, float64(n), true, "").Canonical()
		}
		f, _ := strconv.ParseFloat(t.Val, 64)
		return ast.NewNumberLiteral(0, 0, f, false, "").Canonical()
	case lexer.TokenData:
		c.take()
		return c.path("@")
	case lexer.TokenID:
		return c.path("")
	case lexer.TokenError:
		c.fail(KindSyntax, t, lexerMessage(t), collisionHint(open, t))
	case lexer.TokenEOF:
		c.fail(KindSyntax, open, "this "+open.Val+" is never closed", "")
	default:
		c.fail(KindSyntax, t, "a name is missing after "+open.Val, "")
	}
	return ""
}

func (c *checker) path(original string) string {
	if !c.is(lexer.TokenID) {
		c.fail(KindSyntax, c.peek(), "a name is missing after @", "")
		return ""
	}
	parts := 0
	part := func(v string) {
		original += v
		if v != ".." && v != "." && v != "this" {
			parts++
		}
	}
	part(c.take().Val)
	for c.is(lexer.TokenSep) {
		original += c.take().Val
		t := c.peek()
		if !c.is(lexer.TokenID) {
			hint := ""
			if c.is(lexer.TokenNumber, lexer.TokenBoolean) {
				hint = "write it in brackets: " + original + "[" + t.Val + "]"
			}
			message := "a name is missing after " + original
			if c.is(lexer.TokenError) {
				message = lexerMessage(t)
			}
			c.fail(KindSyntax, t, message, hint)
			return ""
		}
		part(t.Val)
		if parts > 0 && (t.Val == ".." || t.Val == "." || t.Val == "this") {
			c.fail(KindSyntax, t, t.Val+" can stand at the beginning of a path only", "a field of that name is written ["+t.Val+"]")
			return ""
		}
		c.take()
	}
	if len(original) >= 2 && original[0] == '[' && original[len(original)-1] == ']' {
		return original[1 : len(original)-1]
	}
	return original
}

// collisionHint helps with {{{#each, where a brace of JSON made a block tag a triple mustache.
func collisionHint(open, t lexer.Token) string {
	if open.Kind == lexer.TokenOpenUnescaped && strings.ContainsAny(t.Val, "#/^!>&") {
		return "if the first { belongs to JSON, put a space after it: { {{"
	}
	return ""
}

// lexerMessage words raymond's lexer errors in lower case, like every other message.
func lexerMessage(t lexer.Token) string {
	if t.Val == "" {
		return "unexpected text"
	}
	return strings.ToLower(t.Val[:1]) + t.Val[1:]
}

func tokenName(t lexer.Token) string {
	if t.Kind == lexer.TokenEOF {
		return "end of the template"
	}
	return strconv.Quote(t.Val)
}
