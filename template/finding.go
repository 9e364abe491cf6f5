package template

import "errors"

// Finding is something in a template that is allowed but probably not meant, or that fails with some data.
type Finding struct {
	Position        // where in the template
	Kind     Kind   // see the Kinds of Finding; a trial's findings have the kinds of the errors
	Path     string // the path as written, when the finding is about one
	Message  string // what was found
	Hint     string // what to do; may be empty
}

// String returns the finding in one line, as errors are worded.
func (f Finding) String() string { return describe("template", f.Position, f.Message, f.Hint) }

// badExample reports an example that is no data.
func badExample(err error) Finding {
	f := Finding{Position: Position{Line: 1, Column: 1}, Kind: KindData, Message: "the example cannot be used"}
	var data *DataError
	if errors.As(err, &data) {
		f.Message += ": " + data.Reason
	}
	return f
}
