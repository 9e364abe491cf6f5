package email

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

const (
	maxLocal   = 64  // RFC 5321 section 4.5.3.1.1
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3, without the angle brackets
)

const addressRemedy = "write one address such as jo@example.com and nothing else"

// parseAddress validates an address and returns it as it is sent: the domain in lower case and with A-labels. problem
// is "" if it is good. Quoted local parts and address literals are valid in RFC 5321 and refused all the same: in them
// the relays, libraries and filters of this world do not agree where an address ends.
func parseAddress(raw string) (address, problem string) {
	at := strings.LastIndexByte(raw, '@')
	if at < 0 {
		return "", "has no @"
	}
	local, domain := raw[:at], raw[at+1:]
	switch {
	case local == "":
		return "", "has nothing before the @"
	case len(local) > maxLocal:
		return "", "has more than 64 bytes before the @"
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "", "has a dot at the beginning or the end of the part before the @, or two in a row"
	case strings.ContainsFunc(local, func(r rune) bool { return !isAtom(r) }):
		return "", "has a character before the @ that is not a letter, a digit or one of .!#$%&'*+-/=?^_`{|}~"
	}
	domain, problem = checkName(domain)
	if problem != "" {
		return "", problem
	}
	if address = local + "@" + domain; len(address) > maxAddress {
		return "", "has more than 254 bytes"
	}
	return address, ""
}

// isAtom tells whether r may stand in a dot-atom, RFC 5322 section 3.2.3.
func isAtom(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", r)
}

// checkName validates a host name that is no IP address and returns it with A-labels. Mail knows neither a dot at the
// end nor underscores (RFC 5321, section 2.3.5).
func checkName(raw string) (name, problem string) {
	name, err := netguard.CheckHost("", raw)
	if n, ok := errors.AsType[*channel.ConfigError](err); ok {
		return "", n.Problem
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", "has an IP address in place of a host name"
	}
	switch {
	case strings.HasSuffix(name, "."):
		return "", "has a host with a dot at the end, which mail does not know"
	case strings.Contains(name, "_"):
		return "", "has a host with an underscore, which no mail domain may have"
	}
	return name, ""
}
