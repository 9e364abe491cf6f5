package netguard

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// CheckHost validates a host as a user writes it, without a port, and returns the form to store, show and dial: a name in
// lower case with IDNA's A-labels, an IPv4 address, or an IPv6 address without brackets. It does not ask whether the host
// may be connected to; see [Guard.CheckHost]. The error is a *ConfigError without the host.
func CheckHost(field, raw string) (string, error) {
	host, bracketed := raw, strings.HasPrefix(raw, "[") && strings.HasSuffix(raw, "]")
	if bracketed {
		host = raw[1 : len(raw)-1]
	}
	host, reason := cleanHost(host, bracketed)
	if reason != "" {
		return "", &ConfigError{field, reason, hostRemedy}
	}
	return host, nil
}

// CheckHostPort validates host[:port] in the same way and returns it as it is sent, with brackets around IPv6. The port
// is 1 to 65535, without leading zeros.
func CheckHostPort(field, raw string) (string, error) {
	host, port, reason := splitHostPort(raw)
	if reason == "" {
		host, reason = cleanHost(host, strings.HasPrefix(raw, "["))
	}
	if reason != "" {
		return "", &ConfigError{field, reason, hostRemedy}
	}
	return joinHostPort(host, port), nil
}

const hostRemedy = "write a host name or an IP address, such as hooks.example.com"

// splitHostPort cuts host[:port]; brackets are removed. port is "" if there is none.
func splitHostPort(s string) (host, port, reason string) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", "has an opening bracket without a closing one"
		}
		host, s = s[1:end], s[end+1:]
		if s == "" {
			return host, "", ""
		}
		if s[0] != ':' {
			return "", "", "has text between the bracket and the port"
		}
		port = s[1:]
	} else {
		var found bool
		if host, port, found = strings.Cut(s, ":"); !found {
			return host, "", ""
		}
		if strings.Contains(port, ":") {
			return "", "", "has more than one colon (IPv6 addresses need brackets)"
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", "", "has a port that is not a number from 1 to 65535"
	}
	return host, port, ""
}

func joinHostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return host
}

// cleanHost returns the canonical form of a host, or the reason why there is none.
func cleanHost(raw string, bracketed bool) (host, reason string) {
	if raw == "" {
		return "", "has no host"
	}
	if strings.ContainsAny(raw, "%") {
		return "", "has a percent sign in the host (zones and escapes are not accepted)"
	}
	if strings.Contains(raw, ":") || bracketed {
		a, err := netip.ParseAddr(raw)
		if err != nil || !a.Is6() {
			return "", "has a colon or brackets in the host without being an IPv6 address"
		}
		return a.String(), ""
	}
	// Before the mapping too: it treats some of these as separators or drops them.
	if reason := checkLabels(raw); reason != "" {
		return "", reason
	}
	host, err := idna.Lookup.ToASCII(raw)
	if err == nil {
		_, err = idna.Lookup.ToASCII(host) // it maps some labels, such as bad UTF-8, to what it refuses itself
	}
	if err != nil {
		return "", "has a host with characters that no host name may have"
	}
	if reason := checkLabels(host); reason != "" {
		return "", reason
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x") {
		return host, ""
	}
	// Resolvers disagree about 127.1, 0177.0.0.1 and 0x7f000001; only the one form all agree on is left.
	if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
		return "", "has a numeric host that is not an IPv4 address of four decimal numbers"
	}
	if raw != host {
		return "", "has a host that becomes an IP address only by mapping"
	}
	return host, ""
}

func checkLabels(host string) string {
	if len(host) > 253 {
		return "has a host of more than 253 bytes"
	}
	for label := range strings.SplitSeq(host, ".") {
		switch {
		case label == "":
			return "has a host with an empty label (a dot at the beginning, at the end, or two in a row)"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "has a host with a label that begins or ends with a hyphen"
		case len(label) > 63:
			return "has a host with a label of more than 63 bytes"
		}
	}
	return ""
}
