package template

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aymerick/raymond/lexer"
)

// grammarChecker proves that the tokens are a sentence of raymond's grammar before its parser sees them. The parser
// reports lines only, leaks its lexer's goroutine when it fails, and recurses without bound; after this check it cannot
// fail. Error positions are offsets into the rewritten text.
type grammarChecker struct {
	tokens []lexer.Token
	i      int
	limit  int // nesting
	blocks int
	calls  int
	err    *SyntaxError
}

// checkGrammar drains raymond's lexer, so that its goroutine ends, and checks the grammar.
func checkGrammar(text string, nesting int) *SyntaxError {
	c := &grammarChecker{tokens: lexer.Collect(text), limit: nesting}
	c.program()
	if c.err == nil && c.peek().Kind != lexer.TokenEOF {
		c.unexpectedStatement()
	}
	return c.err
}

func (c *grammarChecker) peek() lexer.Token { return c.tokens[c.i] }

func (c *grammarChecker) is(kinds ...lexer.TokenKind) bool {
	for _, k := range kinds {
		if c.tokens[c.i].Kind == k {
			return true
		}
	}
	return false
}

// next consumes a token; the last one, the end or the lexer's error, stays.
func (c *grammarChecker) next() lexer.Token {
	t := c.tokens[c.i]
	if c.i < len(c.tokens)-1 {
		c.i++
	}
	return t
}

// fail keeps the first error and goes to the end, where no rule matches any more.
func (c *grammarChecker) fail(kind Kind, t lexer.Token, message, hint string) {
	if c.err == nil {
		c.err = &SyntaxError{Position: Position{Offset: t.Pos}, Kind: kind, Message: message, Hint: hint}
	}
	c.i = len(c.tokens) - 1
}

func (c *grammarChecker) unexpectedStatement() {
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

func (c *grammarChecker) program() {
	for {
		switch c.peek().Kind {
		case lexer.TokenContent, lexer.TokenComment:
			c.next()
		case lexer.TokenOpen, lexer.TokenOpenUnescaped:
			c.mustache()
		case lexer.TokenOpenBlock:
			c.block(false)
		case lexer.TokenOpenInverse:
			c.block(true)
		default:
			return
		}
	}
}

func (c *grammarChecker) mustache() {
	open := c.next()
	c.expression(open)
	if open.Kind == lexer.TokenOpenUnescaped {
		c.close(open, lexer.TokenCloseUnescaped)
	} else {
		c.close(open, lexer.TokenClose)
	}
}

// close checks the braces that end a tag; this is where JSON braces and mustaches collide.
func (c *grammarChecker) close(open lexer.Token, want lexer.TokenKind) {
	if c.is(want) {
		c.next()
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
		c.fail(KindSyntax, t, "unexpected "+tokenName(t)+" in "+open.Val, foreignHint(t))
	}
}

// foreignHint helps with what other template languages have at this place.
func foreignHint(t lexer.Token) string {
	switch t.Kind {
	case lexer.TokenCloseBlockParams:
		return "there are no pipes: a helper stands before its value, as in {{upper name}}"
	case lexer.TokenEquals:
		return "there are no operators: compare with (equal a b)"
	default:
		return ""
	}
}

// block checks {{#x}} … {{/x}} or, as inverse, {{^x}} … {{/x}}, which has no {{else if}}. raymond's parser nests every
// {{else if}} in the one before.
func (c *grammarChecker) block(inverse bool) {
	before := c.blocks
	open, name := c.openBlock()
	c.program()
	for !inverse && c.is(lexer.TokenOpenInverseChain) {
		c.openBlock()
		c.program()
	}
	if c.is(lexer.TokenInverse) {
		c.next()
		c.program()
	}
	c.closeBlock(open, name)
	c.blocks = before
}

func (c *grammarChecker) openBlock() (lexer.Token, string) {
	open := c.next()
	if c.blocks++; c.blocks > c.limit {
		c.fail(KindLimit, open, fmt.Sprintf("blocks are nested deeper than %d", c.limit), "")
	}
	name := c.expression(open)
	if c.is(lexer.TokenOpenBlockParams) {
		c.next()
		if !c.is(lexer.TokenID) {
			c.fail(KindSyntax, c.peek(), "a name is missing between the bars", "write as |name|")
		}
		for n := 1; c.is(lexer.TokenID); n++ {
			if n > maxBlockParams {
				c.fail(KindLimit, c.peek(), fmt.Sprintf("a block has more than %d names between its bars", maxBlockParams), "#each knows two: |item index|")
				break
			}
			c.next()
		}
		if !c.is(lexer.TokenCloseBlockParams) {
			c.fail(KindSyntax, c.peek(), "the names after as must end with |", "write as |name|")
		}
		c.next()
	}
	c.close(open, lexer.TokenClose)
	return open, name
}

// maxBlockParams is the largest number of names between bars. #each sets two; every path looks through all of them.
const maxBlockParams = 16

func (c *grammarChecker) closeBlock(open lexer.Token, name string) {
	if c.err != nil {
		return
	}
	if c.is(lexer.TokenEOF) {
		c.fail(KindSyntax, open, "the block "+excerpt(name)+" is never closed", "close it with {{/"+excerpt(name)+"}}")
		return
	}
	if !c.is(lexer.TokenOpenEndBlock) {
		c.unexpectedStatement()
		return
	}
	end := c.next()
	at := c.peek()
	got := c.name(end)
	if c.err == nil && got != name {
		c.fail(KindSyntax, at, fmt.Sprintf("{{/%s}} cannot close the block %s", excerpt(got), excerpt(name)), "close it with {{/"+excerpt(name)+"}} first")
		return
	}
	c.close(end, lexer.TokenClose)
}

// expression checks: name, parameters, named parameters. It returns the name, which the closing tag has to repeat.
func (c *grammarChecker) expression(open lexer.Token) string {
	name := c.name(open)
	for !c.isPair() && c.is(lexer.TokenOpenSexpr, lexer.TokenBoolean, lexer.TokenNumber, lexer.TokenString, lexer.TokenData, lexer.TokenID) {
		c.param(open)
	}
	for c.isPair() {
		c.next()
		c.next()
		c.param(open)
	}
	return name
}

func (c *grammarChecker) isPair() bool {
	return c.is(lexer.TokenID) && c.tokens[c.i+1].Kind == lexer.TokenEquals
}

func (c *grammarChecker) param(open lexer.Token) {
	if !c.is(lexer.TokenOpenSexpr) {
		c.name(open)
		return
	}
	paren := c.next()
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
	c.next()
	c.calls--
}

// name checks a literal or a path and returns the text that a closing tag has to repeat.
func (c *grammarChecker) name(open lexer.Token) string {
	t := c.peek()
	switch t.Kind {
	case lexer.TokenString:
		return c.next().Val
	case lexer.TokenBoolean:
		return strings.ToLower(c.next().Val)
	case lexer.TokenNumber:
		if _, err := strconv.ParseFloat(t.Val, 64); err != nil || numberLength(t.Val+" ") != len(t.Val) {
			c.fail(KindSyntax, t, excerpt(t.Val)+" is not a number", "")
			return ""
		}
		return c.next().Val
	case lexer.TokenData:
		c.next()
		return c.path("@")
	case lexer.TokenID:
		return c.path("")
	case lexer.TokenError:
		c.fail(KindSyntax, t, lexerMessage(t), collisionHint(open, t))
	case lexer.TokenEOF:
		c.fail(KindSyntax, open, "this "+open.Val+" is never closed", "")
	default:
		hint := foreignHint(t)
		if t.Kind == lexer.TokenSep && c.tokens[c.i+1].Kind == lexer.TokenID {
			hint = "a path begins with a name: " + excerpt(c.tokens[c.i+1].Val)
		}
		c.fail(KindSyntax, t, "a name is missing after "+open.Val, hint)
	}
	return ""
}

// path checks a path and returns it as raymond writes it, without the blanks between its names.
func (c *grammarChecker) path(prefix string) string {
	if !c.is(lexer.TokenID) {
		c.fail(KindSyntax, c.peek(), "a name is missing after @", "")
		return ""
	}
	var original strings.Builder
	original.WriteString(prefix)
	names := 0
	for n := 1; ; n++ {
		t := c.next()
		original.WriteString(t.Val)
		isUp := t.Val == ".." || t.Val == "." || t.Val == "this"
		if !isUp {
			names++
		}
		switch {
		case isUp && n > 1 && names > 0:
			c.fail(KindSyntax, t, t.Val+" can stand at the beginning of a path only", "a field of that name is written ["+t.Val+"]")
			return ""
		case n > c.limit+maxDataDepth:
			// Neither blocks nor data are nested that deep. raymond's parser copies the path for each of its names.
			c.fail(KindLimit, t, fmt.Sprintf("a path has more than %d names", c.limit+maxDataDepth), "")
			return ""
		case !c.is(lexer.TokenSep):
			c.refuseDots(t)
			return trimBrackets(original.String())
		}
		original.WriteString(c.next().Val)
		if !c.is(lexer.TokenID) {
			c.missingName(excerpt(original.String()))
			return ""
		}
	}
}

// missingName reports a path that ends in a separator.
func (c *grammarChecker) missingName(original string) {
	t := c.peek()
	message, hint := "a name is missing after "+original, ""
	switch {
	case c.is(lexer.TokenNumber, lexer.TokenBoolean):
		hint = "write it in brackets: " + original + "[" + excerpt(t.Val) + "]"
	case c.is(lexer.TokenError):
		message = lexerMessage(t)
	}
	c.fail(KindSyntax, t, message, hint)
}

// refuseDots reports dots directly behind a path, which raymond takes for its next argument.
func (c *grammarChecker) refuseDots(last lexer.Token) {
	t := c.peek()
	if c.err != nil || t.Kind != lexer.TokenID || t.Pos != last.Pos+len(last.Val) {
		return
	}
	switch t.Val {
	case "..":
		c.fail(KindSyntax, t, "two dots stand between two names", "write one dot; ../ can stand at the beginning of a path only")
	case ".":
		c.fail(KindSyntax, t, "a name is missing after this dot", "")
	}
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
	return strings.ToLower(t.Val[:1]) + excerpt(t.Val[1:])
}

func tokenName(t lexer.Token) string {
	if t.Kind == lexer.TokenEOF {
		return "end of the template"
	}
	return strconv.Quote(excerpt(t.Val))
}
