package signature

// Reason says why a request is not to be trusted.
type Reason string

// The reasons.
const (
	Missing   Reason = "is missing"                          // a header that the scheme needs is not there
	Malformed Reason = "is not of the scheme's form"         // or is there more than once
	TooOld    Reason = "is too old"                          // the request may have been recorded, or a clock is wrong
	TooNew    Reason = "is in the future"                    // a clock is wrong
	Mismatch  Reason = "has no signature by one of the keys" // somebody else sent it, or it was changed
)

// Error says why a request is not to be trusted. It holds nothing of the request. Answer such a request with 401.
type Error struct {
	Reason Reason
	Header string // the header in question
}

// Error returns header and reason.
func (e *Error) Error() string { return "signature: " + e.Header + " " + string(e.Reason) }
