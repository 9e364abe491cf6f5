package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Error is one thing that is wrong with a document: where it is, what it is, and what to do. It quotes names of fields,
// routes and channels, but no other value, which might be a credential. [Load] joins one for each problem, in the order
// of the document.
//
// A [Type]'s Make returns Errors without File, Line and Column, and with a Path that begins in the channel, such as
// "headers[3].name"; Load completes them.
type Error struct {
	File         string // as it was given to Load
	Line, Column int    // from 1, Column in characters; 0 = not about a place
	Path         string // for example "channels[2].headers[0].name"; "" = the document
	Problem      string
	Remedy       string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(cmp.Or(e.Path, "the document"))
	b.WriteByte(' ')
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// position is a place in a document, from 1; zero is none.
type position struct{ line, column int }

// maxProblems is how many are reported: a document full of nonsense does not become as many errors.
const maxProblems = 100

// problems collects everything that is wrong with one document.
type problems struct {
	suggester

	file string
	all  []*Error
	more int // that were left out
}

func (p *problems) add(at position, path, problem, remedy string) {
	if len(p.all) == maxProblems {
		p.more++
		return
	}
	p.all = append(p.all, &Error{File: p.file, Line: at.line, Column: at.column, Path: path, Problem: problem, Remedy: remedy})
}

// within tells whether something at or below path is wrong.
func (p *problems) within(path string) bool {
	return p.more > 0 || slices.ContainsFunc(p.all, func(e *Error) bool { return isBelow(e.Path, path) })
}

// around tells whether something at, below or above path is wrong, other than the whole of what is at top.
func (p *problems) around(path, top string) bool {
	return p.within(path) || slices.ContainsFunc(p.all, func(e *Error) bool { return isBelow(path, e.Path) && isBelow(e.Path, top) && e.Path != top })
}

// isBelow tells whether a path is another one, or that of something in it.
func isBelow(path, other string) bool {
	rest, ok := strings.CutPrefix(path, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// err joins the problems in the order of the document.
func (p *problems) err() error {
	slices.SortStableFunc(p.all, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(p.all), len(p.all)+1)
	for i, e := range p.all {
		errs[i] = e
	}
	if p.more > 0 {
		errs = append(errs, &Error{File: p.file, Problem: fmt.Sprintf("has %d more problems", p.more), Remedy: "correct these first"})
	}
	return errors.Join(errs...)
}

// quoted shows a name from a document in an error.
func quoted(name string) string {
	const most = 40
	runes := []rune(strings.ToValidUTF8(name, "�"))
	if len(runes) > most {
		runes = append(runes[:most], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '·'
		}
	}
	return `"` + string(runes) + `"`
}
