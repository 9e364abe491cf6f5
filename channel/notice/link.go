package notice

import (
	"net/url"
	"strconv"
	"strings"
)

const maxLink = 2048

// link returns raw when it is a URL that may be offered for a click, otherwise "": absolute, http or https, with a host
// of ASCII characters and without a user name, because "https://bank.example@evil.example" looks like another place.
// Characters that a URL may not hold as they are, and which end a link in many a markup, come out percent-encoded.
func link(raw string) string {
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c == '\\' || c == 0x7f {
			return ""
		}
	}
	for _, r := range raw {
		if hidden(r) || r == '\uFFFD' {
			return ""
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || !validHost(u.Hostname()) {
		return ""
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return ""
		}
	}
	s := encode(u.String())
	if len(s) > maxLink {
		return ""
	}
	return s
}

// validHost takes names and IP addresses. An internationalised name has to be in its ASCII form, so that it can be told
// from one that only looks the same.
func validHost(host string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:"
	return host != "" && strings.Trim(host, allowed) == ""
}

// encode percent-encodes what RFC 3986 allows nowhere in a URL.
func encode(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > '~' || strings.IndexByte("\"<>`{|}^", c) >= 0 {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
