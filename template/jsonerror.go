package template

// JSONError reports a template that cannot make JSON (from Compile), or an output that is not JSON (from Render; also
// from Compile when it can be known without data). It quotes the template at most, never data.
type JSONError struct {
	Position        // the place in the template
	Kind     Kind   // see the Kinds of JSONError
	Message  string // what is wrong
	Hint     string // what to do; may be empty
	// Output is the place in the text made when Kind is KindOutput from Render; zero otherwise. Its Offset, Line and
	// Column are those of the first character that cannot be part of a JSON document.
	Output Position
}

// Error implements error.
func (e *JSONError) Error() string {
	return describe("not JSON: template", e.Position, e.Message, e.Hint)
}
