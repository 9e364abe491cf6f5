package template

import (
	"errors"
	"fmt"
	"strconv"
)

// Options say how a template is compiled. The zero Options compile Handlebars that makes JSON, within the default
// limits.
type Options struct {
	// Mode is the kind of text to make; JSON by default.
	Mode Mode
	// Syntax is the language of the source; Handlebars by default.
	Syntax Syntax
	// Helpers are added to the built-in helpers for this template only. A name of a built-in helper is refused.
	Helpers map[string]Helper
	// Macros maps the macro names of the Macros syntax to paths in the data, for example "User" to "data.user", or to a
	// built-in helper with paths and texts as its arguments: `seconds event_time`, `default data.version "1"`.
	// With a nil map every name is taken as a path itself; with any other map, an unknown name is a compile error.
	Macros map[string]string
	// Limits bound the work of compiling and rendering; zero fields have defaults.
	Limits Limits
	// AllowRaw permits {{{x}}} and {{&x}} in HTML mode: the value is then written without escaping. The template's
	// author is then responsible for where values stand as well: places that are compile errors otherwise are allowed.
	// In other modes the two forms are always allowed and mean the same as {{x}}.
	AllowRaw bool
}

// Limits bound what one template may cost. A zero or negative field means the default.
type Limits struct {
	// Source is the longest source, in bytes; 256 KiB by default.
	Source int
	// Nesting is the deepest nesting of blocks and of subexpressions, each counted apart; 64 by default. Every
	// {{else if}} nests one deeper.
	Nesting int
	// CommentBlanks is the longest run of blanks in a comment; 256 by default.
	CommentBlanks int
	// Output is the longest output of one Render, and the longest text that a helper makes, in bytes; 1 MiB by default.
	Output int
	// Steps is the number of steps of one Render: every piece of text, value, condition and loop iteration is one, and
	// so is every 64 bytes that a helper, a comparison or a path reads or writes; 1,000,000 by default. To find the
	// place of a mistake in the output, a render may take them twice. What a helper of the host does by itself is not
	// counted.
	Steps int
}

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Source, 256<<10)
	set(&l.Nesting, 64)
	set(&l.CommentBlanks, 256)
	set(&l.Output, 1<<20)
	set(&l.Steps, 1_000_000)
	return l
}

// validate reports all options that have no meaning, before any source is read.
func (o Options) validate() error {
	var errs []error
	refuse := func(field, format string, args ...any) {
		errs = append(errs, &OptionsError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	if o.Mode > Slack {
		refuse("Mode", "%d is not a mode", o.Mode)
	}
	if o.Syntax > Macros {
		refuse("Syntax", "%d is not a syntax", o.Syntax)
	}
	for _, name := range sortedKeys(o.Helpers) {
		h := o.Helpers[name]
		switch {
		case !isIdentifier(name):
			refuse("Helpers", "%q cannot be written in a template as a helper's name", name)
		case isBlockHelper(name) || isBuiltin(name):
			refuse("Helpers", "%q is a built-in helper", name)
		case h.Call == nil:
			refuse("Helpers", "%q has no Call function", name)
		case h.Min < 0 || h.Max >= 0 && h.Max < h.Min:
			refuse("Helpers", "%q takes %d to %d arguments, which is impossible", name, h.Min, h.Max)
		}
	}
	for _, name := range sortedKeys(o.Macros) {
		if !isMacroName(name) {
			refuse("Macros", "%q is not a macro name: use letters, digits, _ and .", name)
		} else if _, problem := parseMacro(o.Macros[name]); problem != "" {
			refuse("Macros", "the path of %q %s", name, problem)
		}
	}
	return errors.Join(errs...)
}

// Mode says what kind of text a template makes, and so how values are escaped. The zero Mode is JSON.
type Mode uint8

const (
	// JSON makes a JSON document. Inside a string literal of the template a value is escaped as string content,
	// elsewhere it is written as a complete JSON value.
	JSON Mode = iota
	// HTML makes HTML text: a value is escaped for the place it stands in, and does not compile where it could leave
	// it.
	HTML
	// Text makes plain text: values are written unchanged.
	Text
	// Header makes one line, such as a mail subject or an HTTP header value: control characters and line separators
	// become a space, in values and in the template's own text.
	Header
	// URL makes a URL, or a part of one that begins with a slash or a question mark. Everything in a value but
	// letters, digits and - . _ ~ is percent-encoded.
	URL
	// Slack makes Slack mrkdwn: & < > of values become entities.
	Slack
)

// String returns the mode's name in lower case.
func (m Mode) String() string {
	names := [...]string{"json", "html", "text", "header", "url", "slack"}
	if int(m) < len(names) {
		return names[m]
	}
	return "mode " + strconv.Itoa(int(m))
}

// Syntax is the language of the template's source. The zero Syntax is Handlebars.
type Syntax uint8

const (
	// Handlebars is {{path}}, {{#each}} and so on, see the package documentation.
	Handlebars Syntax = iota
	// Macros is %%Name%%: plain replacement, no blocks, no helpers.
	Macros
)

// String returns the syntax's name in lower case.
func (s Syntax) String() string {
	switch s {
	case Handlebars:
		return "handlebars"
	case Macros:
		return "macros"
	}
	return "syntax " + strconv.Itoa(int(s))
}
