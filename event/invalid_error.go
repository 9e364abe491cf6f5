package event

// InvalidError says what is wrong with an event, its JSON form or a filter. Of an event its text shows at most the type
// and names of attributes and fields, never a value; what a filter was made from is configuration and is shown.
type InvalidError struct {
	Field   string // what is wrong, for example "id", "attributes.external_key" or "patterns[2]"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *InvalidError) Error() string {
	return "event: " + e.Field + " " + e.Problem + "; " + e.Remedy
}
