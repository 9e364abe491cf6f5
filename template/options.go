package template

import "fmt"

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
	// author answers for the places of values as well: those that are compile errors otherwise are allowed.
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

// check refuses options that have no meaning, before any source is read.
func (o Options) check() error {
	if o.Mode > Slack {
		return &OptionsError{Field: "Mode", Reason: fmt.Sprintf("%d is not a mode", o.Mode)}
	}
	if o.Syntax > Macros {
		return &OptionsError{Field: "Syntax", Reason: fmt.Sprintf("%d is not a syntax", o.Syntax)}
	}
	for _, name := range sortedKeys(o.Helpers) {
		h := o.Helpers[name]
		switch {
		case !isIdentifier(name):
			return &OptionsError{Field: "Helpers", Reason: fmt.Sprintf("%q cannot be written in a template as a helper's name", name)}
		case isBlockHelper(name) || isBuiltin(name):
			return &OptionsError{Field: "Helpers", Reason: fmt.Sprintf("%q is a built-in helper", name)}
		case h.Call == nil:
			return &OptionsError{Field: "Helpers", Reason: fmt.Sprintf("%q has no Call function", name)}
		case h.Min < 0 || h.Max >= 0 && h.Max < h.Min:
			return &OptionsError{Field: "Helpers", Reason: fmt.Sprintf("%q takes %d to %d arguments, which is impossible", name, h.Min, h.Max)}
		}
	}
	for _, name := range sortedKeys(o.Macros) {
		if !isMacroName(name) {
			return &OptionsError{Field: "Macros", Reason: fmt.Sprintf("%q is not a macro name: use letters, digits, _ and .", name)}
		}
		if _, problem := parseMacro(o.Macros[name]); problem != "" {
			return &OptionsError{Field: "Macros", Reason: fmt.Sprintf("the path of %q %s", name, problem)}
		}
	}
	return nil
}
