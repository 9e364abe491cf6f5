package netguard

import "errors"

// ErrDestinationBlocked is matched, with errors.Is, by every refusal of the outbound policy. No byte was sent. The
// refusal of an address or a name as it was configured, of kind [KindBlocked], is permanent: only a change of the
// policy or of the configuration can help. Private networks, or a receiver on the same machine, need a Guard whose
// [Profile] opens them. A name all of whose addresses are refused is of kind [KindDNS], has the text of a name that
// does not exist, and is no more permanent than that: whoever may configure a destination must not read internal DNS
// from the difference.
var ErrDestinationBlocked = errors.New("destination blocked by the outbound policy")

// BlockedError is a refusal. Its text may be shown to whoever configured the destination: it names the host as
// configured and never an address it resolved to, which would turn the product into a way to read internal DNS.
type BlockedError struct {
	Host string // as configured; "" when a socket address was judged without a name
	What string // "" for a verdict on the address, else the part that is refused: "port 8080", "scheme http", "method GET"

	resolved bool          // the verdict is on what the host resolved to
	detail   func() string // a closure, so that %#v does not show it
}

func (e *BlockedError) Error() string {
	if e.resolved {
		return unreachable(e.Host)
	}
	text := "destination"
	if e.Host != "" {
		text += " " + e.Host
	}
	if e.What != "" {
		text += ": " + e.What
	}
	return text + " is not allowed by the outbound policy"
}

// Is makes errors.Is(err, ErrDestinationBlocked) true.
func (e *BlockedError) Is(target error) bool { return target == ErrDestinationBlocked }

// Detail says which address was refused and why. It is for the operator's log only.
func (e *BlockedError) Detail() string {
	if e.detail == nil {
		return e.What
	}
	return e.detail()
}

// unreachable is all that is said of a host whose name leads to no address that is allowed, because there is none or
// because each was refused.
func unreachable(host string) string {
	return "destination " + host + " is unknown or not allowed by the outbound policy"
}

func blocked(host, detail string) *BlockedError {
	return &BlockedError{Host: host, detail: func() string { return detail }}
}
