package template

import (
	"strings"

	"github.com/aymerick/raymond/ast"
)

// trimmer applies the whitespace rules of handlebars.js to raymond's tree: ~ removes all blanks on its side, and a
// block, else or comment tag alone on its line takes the line with it. raymond's own pass, undone here, forgets ~ at
// {{else if}} and takes blanks after a comment at the beginning of the template.
type trimmer struct {
	texts map[*ast.ContentStatement]*trimmed
}

// trimmed is what is left of a text: original[left:right].
type trimmed struct {
	original            string
	left, right         int
	leftDone, rightDone bool // stripped at this side already
}

func (t *trimmed) value() string { return t.original[t.left:t.right] }

// trimWhitespace returns what is left of each text of the tree.
func trimWhitespace(root *ast.Program) map[*ast.ContentStatement]*trimmed {
	t := &trimmer{texts: map[*ast.ContentStatement]*trimmed{}}
	t.collect(root)
	t.program(root, true)
	return t.texts
}

func (t *trimmer) collect(p *ast.Program) {
	if p == nil {
		return
	}
	for _, n := range p.Body {
		switch n := n.(type) {
		case *ast.ContentStatement:
			t.texts[n] = &trimmed{original: n.Original, right: len(n.Original)}
		case *ast.BlockStatement:
			t.collect(n.Program)
			t.collect(n.Inverse)
		}
	}
}

func (t *trimmer) textAt(body []ast.Node, i int) *trimmed {
	if i < 0 || i >= len(body) {
		return nil
	}
	n, ok := body[i].(*ast.ContentStatement)
	if !ok {
		return nil
	}
	return t.texts[n]
}

func (t *trimmer) program(p *ast.Program, root bool) {
	for i, n := range p.Body {
		switch n := n.(type) {
		case *ast.MustacheStatement:
			t.tilde(p.Body, i, n.Strip.Open, n.Strip.Close)
		case *ast.CommentStatement:
			alone := t.lineBegins(p.Body, i, root) && t.lineEnds(p.Body, i, root)
			t.tilde(p.Body, i, n.Strip.Open, n.Strip.Close)
			if alone {
				t.cutAfter(p.Body, i, false)
				t.cutBefore(p.Body, i, false)
			}
		case *ast.BlockStatement:
			t.block(p.Body, i, n, root)
		}
	}
}

func (t *trimmer) tilde(body []ast.Node, i int, before, after bool) {
	if after {
		t.cutAfter(body, i, true)
	}
	if before {
		t.cutBefore(body, i, true)
	}
}

// stripOf returns the whitespace control of a tag: ~ at its opening and its closing braces.
func stripOf(s *ast.Strip) ast.Strip {
	if s == nil {
		return ast.Strip{}
	}
	return *s
}

// chained returns the block that an {{else if}} made of the else branch p, or nil.
func chained(p *ast.Program) *ast.BlockStatement {
	if p == nil || !p.Chained {
		return nil
	}
	return p.Body[0].(*ast.BlockStatement)
}

// elseStrip returns the whitespace control of the block's own else tag.
func elseStrip(b *ast.BlockStatement) ast.Strip {
	if next := chained(b.Inverse); next != nil {
		return stripOf(next.OpenStrip)
	}
	if b.Inverse.Strip == nil { // {{^x}} has its branches the other way round
		return stripOf(b.Program.Strip)
	}
	return stripOf(b.Inverse.Strip)
}

// inside treats the tags of a block towards its own texts. end is the whitespace control of its closing tag. The first
// block that {{else if}} makes shares it; the closing tag of further ones is, for handlebars.js, their own {{else if}}.
func (t *trimmer) inside(b *ast.BlockStatement, end ast.Strip, first bool) {
	if b.Program != nil {
		t.program(b.Program, false)
	}
	if next := chained(b.Inverse); next != nil {
		nextEnd := end
		if !first {
			nextEnd = stripOf(next.OpenStrip)
		}
		t.inside(next, nextEnd, false)
	} else if b.Inverse != nil {
		t.program(b.Inverse, false)
	}
	body := b.Program
	if body == nil {
		body = b.Inverse
	}
	if stripOf(b.OpenStrip).Close {
		t.cutAfter(body.Body, -1, true)
	}
	if b.Program == nil || b.Inverse == nil {
		if end.Open {
			t.cutBefore(body.Body, len(body.Body), true)
		}
		return
	}
	firstElse, lastElse := elseBodies(b)
	s := elseStrip(b)
	if s.Open {
		t.cutBefore(body.Body, len(body.Body), true)
	}
	if s.Close {
		t.cutAfter(firstElse, -1, true)
	}
	if end.Open {
		t.cutBefore(lastElse, len(lastElse), true)
	}
	if t.lineBegins(body.Body, len(body.Body), false) && t.lineEnds(firstElse, -1, false) {
		t.cutBefore(body.Body, len(body.Body), false)
		t.cutAfter(firstElse, -1, false)
	}
}

// elseBodies returns the texts of the first and the last else branch of a block that has one.
func elseBodies(b *ast.BlockStatement) (first, last []ast.Node) {
	first, last = b.Inverse.Body, b.Inverse.Body
	if next := chained(b.Inverse); next != nil {
		first = next.Program.Body
	}
	for p := b.Inverse; p.Chained; {
		p = chained(p).Program
		last = p.Body
	}
	return first, last
}

// block treats the tags of a block towards its neighbours.
func (t *trimmer) block(body []ast.Node, i int, b *ast.BlockStatement, root bool) {
	t.inside(b, stripOf(b.CloseStrip), true)
	head, tail := b.Program, b.Inverse
	if head == nil {
		head = b.Inverse
	}
	if tail == nil {
		tail = b.Program
	}
	lastBranch := head.Body
	if b.Program != nil && b.Inverse != nil {
		lastBranch, _ = elseBodies(b)
	}
	openAlone := t.lineEnds(head.Body, -1, false) && t.lineBegins(body, i, root)
	closeAlone := t.lineBegins(lastBranch, len(lastBranch), false) && t.lineEnds(body, i, root)
	t.tilde(body, i, stripOf(b.OpenStrip).Open, stripOf(b.CloseStrip).Close)
	if openAlone {
		t.cutAfter(head.Body, -1, false)
		t.cutBefore(body, i, false)
	}
	if closeAlone {
		t.cutAfter(body, i, false)
		t.cutBefore(tail.Body, len(tail.Body), false)
	}
}

// lineBegins reports whether only blanks stand between the node at i and the beginning of its line.
func (t *trimmer) lineBegins(body []ast.Node, i int, root bool) bool {
	if i == 0 {
		return root
	}
	text := t.textAt(body, i-1)
	if text == nil {
		return false
	}
	rest := strings.TrimRightFunc(text.original, isBlank)
	return strings.Contains(text.original[len(rest):], "\n") || rest == "" && i == 1 && root
}

// lineEnds reports whether only blanks stand between the node at i and the end of its line.
func (t *trimmer) lineEnds(body []ast.Node, i int, root bool) bool {
	if i == len(body)-1 {
		return root
	}
	text := t.textAt(body, i+1)
	if text == nil {
		return false
	}
	rest := strings.TrimLeftFunc(text.original, isBlank)
	blanks := text.original[:len(text.original)-len(rest)]
	return strings.Contains(blanks, "\n") || rest == "" && i == len(body)-2 && root
}

// cutAfter removes blanks right of the node at i: all, or those of the rest of its line with the line break.
func (t *trimmer) cutAfter(body []ast.Node, i int, all bool) {
	text := t.textAt(body, i+1)
	if text == nil || !all && text.rightDone {
		return
	}
	v := text.value()
	rest := strings.TrimLeftFunc(v, isBlank)
	if !all {
		rest = strings.TrimLeft(v, " \t")
		rest = strings.TrimPrefix(rest, "\r")
		rest = strings.TrimPrefix(rest, "\n")
	}
	text.left += len(v) - len(rest)
	text.rightDone = len(v) != len(rest)
}

// cutBefore removes blanks left of the node at i: all, or the indentation of its line.
func (t *trimmer) cutBefore(body []ast.Node, i int, all bool) {
	text := t.textAt(body, i-1)
	if text == nil || !all && text.leftDone {
		return
	}
	v := text.value()
	rest := strings.TrimRight(v, " \t")
	if all {
		rest = strings.TrimRightFunc(v, isBlank)
	}
	text.right -= len(v) - len(rest)
	text.leftDone = len(v) != len(rest)
}
