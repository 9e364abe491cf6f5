package netguard

import "errors"

// ErrDestinationBlocked is matched, with errors.Is, by every refusal of the outbound policy. A refusal is permanent: no
// byte was sent, and only a change of the policy or of the configuration can help: private networks, or a receiver on the same machine, need a
// Guard whose [Profile] opens them.
var ErrDestinationBlocked = errors.New("destination blocked by the outbound policy")

// BlockedError is a refusal. Its text may be shown to whoever configured the destination: it names the host as
// configured and never an address it resolved to, which would turn the product into a way to read internal DNS.
type BlockedError struct {
	Host string // as configured; "" when a socket address was judged without a name
	What string // "" for a verdict on the address, else the part that is refused: "port 8080", "scheme http", "method GET"

	detail func() string // a closure, so that %#v does not show it
}

func (e *BlockedError) Error() string {
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

func blocked(host, detail string) *BlockedError {
	return &BlockedError{Host: host, detail: func() string { return detail }}
}
