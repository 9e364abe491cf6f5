package netguard

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tocsin-go/tocsin/channel"
)

// ParseHost validates a host as a user writes it, without a port, and returns the form to store, show and dial: a name
// in lower case with IDNA's A-labels, an IPv4 address, or an IPv6 address without brackets. Labels of a name may hold
// underscores, and a dot at the end stays: it keeps a resolver from trying its search list. It does not ask whether the
// host may be connected to; see [Guard.CheckHost]. The error is a *channel.ConfigError without the host.
func ParseHost(field, raw string) (string, error) {
	host, bracketed := raw, strings.HasPrefix(raw, "[") && strings.HasSuffix(raw, "]")
	if bracketed {
		host = raw[1 : len(raw)-1]
	}
	host, reason := cleanHost(host, bracketed)
	if reason != "" {
		return "", hostMistake(field, raw, reason)
	}
	return host, nil
}

func hostMistake(field, raw, problem string) error {
	if raw == "" {
		return fieldError(field, channel.CodeMissing, "is empty", hostRemedy)
	}
	return fieldError(field, channel.CodeInvalid, problem, hostRemedy)
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
	name := strings.Map(toDot, raw)
	// Before the mapping too: it drops some of these.
	if reason := labelProblem(name); reason != "" {
		return "", reason
	}
	host, reason = toASCII(name)
	if reason == "" {
		reason = labelProblem(host)
	}
	if reason != "" {
		return "", reason
	}
	relative := strings.TrimSuffix(host, ".")
	last := relative[strings.LastIndexByte(relative, '.')+1:]
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

// toASCII maps a name as IDNA's Lookup profile does, but for labels of ASCII: those may hold underscores and hyphens
// anywhere, which IDNA refuses and internal DNS has (RFC 2181, section 11: any label is valid).
func toASCII(name string) (host, reason string) {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	mapped := make([]string, len(labels))
	for i, label := range labels {
		mapped[i] = label
		if isASCII(label) && !isALabel(label) {
			mapped[i] = strings.NewReplacer("_", "a", "-", "a").Replace(label) // for what IDNA says about the others
		}
	}
	host, err := idna.Lookup.ToASCII(strings.Join(mapped, "."))
	if err == nil {
		_, err = idna.Lookup.ToASCII(host) // it maps some labels, such as bad UTF-8, to what it refuses itself
	}
	result := strings.Split(host, ".")
	if err != nil || len(result) != len(labels) || slices.Contains(result, "") {
		return "", idnaReason(labels)
	}
	for i, label := range labels {
		if isASCII(label) && !isALabel(label) {
			result[i] = strings.ToLower(label)
		}
	}
	host = strings.Join(result, ".")
	if strings.HasSuffix(name, ".") {
		host += "."
	}
	return host, ""
}

// idnaReason says why IDNA has no form for a name of these labels.
func idnaReason(labels []string) string {
	for _, label := range labels {
		switch {
		case isALabel(label):
			if _, err := idna.Lookup.ToASCII(label); err != nil {
				return "has a host with a label that begins with xn-- and is not the form of any name"
			}
		case !isASCII(label) && strings.Index(label, "--") == 2:
			return "has a host with a label that has -- in third place beside letters outside ASCII, which IDNA does not allow"
		}
	}
	return "has a host with characters that no host name may have"
}

func isASCII(label string) bool {
	return !strings.ContainsFunc(label, func(r rune) bool { return r >= utf8.RuneSelf })
}

// isALabel reports whether label claims to be the form of an international one (RFC 5890, section 2.3.2.1).
func isALabel(label string) bool { return len(label) >= 4 && strings.EqualFold(label[:4], "xn--") }

// toDot makes a dot of what IDNA takes for one (RFC 3490, section 3.1).
func toDot(r rune) rune {
	if r == '\u3002' || r == '\uff0e' || r == '\uff61' {
		return '.'
	}
	return r
}

func labelProblem(host string) string {
	host = strings.TrimSuffix(host, ".") // the root: the name is looked up as it is, without a search list
	if len(host) > 253 {
		return "has a host of more than 253 bytes"
	}
	for label := range strings.SplitSeq(host, ".") {
		switch {
		case label == "":
			return "has a host with an empty label (a dot at the beginning, or two in a row)"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "has a host with a label that begins or ends with a hyphen"
		case len(label) > 63:
			return "has a host with a label of more than 63 bytes"
		}
	}
	return ""
}
