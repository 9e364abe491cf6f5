package webhook

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

const maxURLLength = 8 << 10

// parseURL checks and parses Config.URL. The errors of package url quote what they parse, so none of them is passed on.
func parseURL(raw string) (*url.URL, error) {
	bad := func(problem, remedy string) (*url.URL, error) { return nil, &ConfigError{"URL", problem, remedy} }
	switch {
	case raw == "":
		return bad("is empty", "set an absolute http or https URL")
	case len(raw) > maxURLLength:
		return bad("is longer than 8 KiB", "shorten it")
	case strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == '\\' }):
		return bad("holds a space, a backslash or a control character", "remove or percent-encode it")
	case strings.Contains(raw, "#"):
		return bad("has a fragment, which is never sent", "remove the '#' and what follows, or percent-encode it")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return bad("cannot be parsed", "check its host, port and percent-encoding")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("does not begin with http:// or https://", "use an absolute URL")
	case u.User != nil:
		return bad("holds a user name or password", "use Auth: webhook.Basic(user, password)")
	case u.Hostname() == "":
		return bad("has no host", "use an absolute URL")
	case strings.Contains(u.Host, "%"):
		return bad("has a host with a zone or percent-encoding", "use a plain host name or address")
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !validPort(u.Port()):
		return bad("has a port that is not 1 to 65535", "correct it, or leave it out for the scheme's own")
	}
	u.Host = strings.ToLower(u.Host)
	// net/url sends a query as it is, and encodes a path anew when one character in it is not encoded: an encoded slash
	// then becomes a slash.
	u.RawPath, u.RawQuery = encodeRest(u.RawPath), encodeRest(u.RawQuery)
	return u, nil
}

// encodeRest percent-encodes the characters that parseURL lets pass and that no path or query may hold (RFC 3986), and
// leaves the rest of s as it is.
func encodeRest(s string) string {
	illegal := func(r rune) bool { return r > '~' || strings.ContainsRune("\"<>^`{|}", r) }
	if !strings.ContainsFunc(s, illegal) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if illegal(rune(s[i])) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// origin is the part of u that may be shown: scheme, host and port.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
