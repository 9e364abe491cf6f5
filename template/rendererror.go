package template

// RenderError reports a render that was given up. Its text names the place in the template and never the data; Unwrap
// gives the helper's or the context's own error, whose text may hold data.
type RenderError struct {
	Position        // the place in the template
	Kind     Kind   // see the Kinds of RenderError
	Message  string // what is wrong
	Hint     string // what to do; may be empty
	Err      error  // the cause, or nil
}

// Error implements error.
func (e *RenderError) Error() string {
	return describe("render: template", e.Position, e.Message, e.Hint)
}

// Unwrap returns the cause, or nil.
func (e *RenderError) Unwrap() error { return e.Err }
