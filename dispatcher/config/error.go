package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
)

// Error is one mistake in a document: a channel.ConfigError with its position. Its Path leads through the document,
// such as "channels[2].headers[0].name", or through the channel or the route that [Document.SetChannel] or
// [Document.SetRoute] was given; "" = all of it. It quotes names of fields, routes and channels, but no other value,
// which might be a credential. An error joins one for each mistake, in the order of the document.
type Error struct {
	File         string // as it was given to Load
	Line, Column int    // from 1, Column in characters; 0 = not about a place
	channel.ConfigError

	whole string // what has an empty Path; "" = the document
}

// Error returns the position, the path, the problem and the remedy in one line.
func (e *Error) Error() string {
	mistake := e.ConfigError
	mistake.Path = cmp.Or(e.Path, e.whole, "the document")
	text := place(e.File, e.Line, e.Column) + mistake.Error()
	if e.whole != "" { // it has no file
		return strings.TrimPrefix(text, ":")
	}
	return text
}

// place begins a line about a place in a file, both as far as they are known.
func place(file string, line, column int) string {
	switch {
	case line > 0:
		return fmt.Sprintf("%s:%d:%d: ", file, line, column)
	case file != "":
		return file + ": "
	}
	return ""
}

// Unwrap returns the ConfigError.
func (e *Error) Unwrap() error { return &e.ConfigError }

func newError(at position, path string, code channel.ConfigCode, problem, remedy string) *Error {
	return &Error{Line: int(at.line), Column: int(at.column), ConfigError: channel.ConfigError{Path: path, Code: code, Problem: problem, Remedy: remedy}}
}

// position is a place in a document, from 1; zero is none.
type position struct{ line, column int32 }

// placeAt makes a position of what a parser says.
func placeAt(line, column int) position {
	return position{int32(min(line, math.MaxInt32)), int32(min(column, math.MaxInt32))}
}

// maxProblems is how many are reported: a document full of nonsense does not become as many errors.
const maxProblems = 100

// problems collects everything that is wrong with one document.
type problems struct {
	suggester

	file      string
	part      string // path of the channel or route that values are of; "" = the document, or all that was given
	whole     string // what was given, if it is not a document: the channel or the route
	placeless bool   // values were read from other texts than the document is now
	all       []*Error
	more      int // that were left out
	unlimited bool
}

// pathOf is the path to v in what was given.
func (p *problems) pathOf(v *value) string { return join(p.part, v.path()) }

// add notes a mistake.
func (p *problems) add(at position, path string, code channel.ConfigCode, problem, remedy string) {
	p.addError(newError(at, path, code, problem, remedy))
}

// report adds a mistake in v.
func (p *problems) report(v *value, code channel.ConfigCode, problem, remedy string) {
	p.add(v.at, p.pathOf(v), code, problem, remedy)
}

func (p *problems) addError(e *Error) {
	if len(p.all) == maxProblems && !p.unlimited {
		p.more++
		return
	}
	e.File, e.whole = p.file, p.whole
	if p.placeless {
		e.Line, e.Column = 0, 0
	}
	p.all = append(p.all, e)
}

// addAll reports what is joined in the error of what was made of v, which is in a channel or a route: *Errors of
// Settings as they are, and then each channel.ConfigError of another package where documents have that field, as paths
// say. Neither is reported about a field that is known to be wrong already, because that was left out of what was made.
func (p *problems) addAll(v *value, err error, paths map[string]string) {
	var own, others []*Error
	for _, each := range joined.Errors(err) {
		if e, ok := errors.AsType[*Error](each); ok {
			own = append(own, newError(placeAt(e.Line, e.Column), join(p.part, e.Path), e.Code, e.Problem, e.Remedy))
		} else if e, ok := errors.AsType[*channel.ConfigError](each); ok {
			nearest, path := v.locate(documentPath(e.Path, paths))
			others = append(others, newError(nearest.at, join(p.part, path), e.Code, e.Problem, e.Remedy))
		} else {
			own = append(own, newError(v.at, p.pathOf(v), channel.CodeInvalid, "cannot be made: "+each.Error(), "correct what that names"))
		}
	}
	for _, errs := range [][]*Error{own, others} {
		errs = slices.DeleteFunc(errs, func(e *Error) bool { return p.around(e.Path, p.pathOf(v)) })
		for _, e := range errs {
			p.addError(e)
		}
	}
}

// within reports whether something at or below path is wrong.
func (p *problems) within(path string) bool {
	return p.more > 0 || slices.ContainsFunc(p.all, func(e *Error) bool { return isBelow(e.Path, path) })
}

// around reports whether something at, below or above path is wrong, other than the whole of what is at top.
func (p *problems) around(path, top string) bool {
	return p.within(path) || slices.ContainsFunc(p.all, func(e *Error) bool { return isBelow(path, e.Path) && isBelow(e.Path, top) && e.Path != top })
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
		e := newError(position{}, "", channel.CodeRange, fmt.Sprintf("has %d more problems", p.more), "correct these first")
		e.File = p.file
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// join extends a path by a field, or by a path from there.
func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// isBelow reports whether a path is another one, or that of something in it.
func isBelow(path, other string) bool {
	rest, ok := strings.CutPrefix(path, other)
	return ok && (rest == "" || other == "" || rest[0] == '.' || rest[0] == '[')
}

// hump is the end of a word in a Go name, such as that of ContentType before its T.
var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// documentPath turns the path to a field of a Go Config, such as "Headers[3].Name", into the path to the field that
// it is made of. That has the same name in lower case with underscores, unless names says otherwise, of the field or
// of what it is in.
func documentPath(path string, names map[string]string) string {
	end := len(path)
	for end > 0 {
		if name, ok := names[path[:end]]; ok {
			return strings.TrimPrefix(name+inLowerCase(path[end:]), ".")
		}
		end = strings.LastIndexAny(path[:end], ".[")
	}
	return inLowerCase(path)
}

func inLowerCase(path string) string {
	return strings.ToLower(hump.ReplaceAllString(path, "${1}_${2}"))
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
