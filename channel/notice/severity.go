package notice

// Severity is how much an event matters.
type Severity uint8

// The severities, in rising order.
const (
	Info     Severity = iota // good to know
	Warning                  // somebody is to decide or to take note
	Error                    // something does not work
	Critical                 // look at it now
)

// String returns the name in lower case.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Error:
		return "error"
	case Critical:
		return "critical"
	default:
		return "info"
	}
}
