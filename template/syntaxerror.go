package template

import "fmt"

// SyntaxError reports a source that is not valid in its syntax, or that uses something this package refuses. It quotes
// the template at most, never data.
type SyntaxError struct {
	Position        // the offending token
	Kind     Kind   // see the Kinds of SyntaxError
	Message  string // what is wrong
	Hint     string // what to do; may be empty
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return describe("template", e.Position, e.Message, e.Hint)
}

// describe is the one form in which the errors of a template are worded.
func describe(what string, p Position, message, hint string) string {
	if hint != "" {
		return fmt.Sprintf("%s %d:%d: %s; %s", what, p.Line, p.Column, message, hint)
	}
	return fmt.Sprintf("%s %d:%d: %s", what, p.Line, p.Column, message)
}

// short is a piece of a template as an error quotes it.
func short(s string) string {
	const most = 80
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// OptionsError reports Options that have no meaning.
type OptionsError struct {
	Field  string // the field of Options
	Reason string
}

// Error implements error.
func (e *OptionsError) Error() string { return "template options: " + e.Field + ": " + e.Reason }
