package netguard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
)

const maxURL = 8 << 10

// ParseURL validates a URL as a user writes it and returns it as it will be called: scheme and host in lower case, the
// host in its A-label form, the query escaped. It accepts absolute https URLs (and http, if limits allow it) of at most
// 8 KiB without user info, fragment, spaces, backslashes and invisible characters. It does not ask whether the host may
// be connected to; see [Guard.CheckHost]. The error is a *channel.ConfigError with the field and the reason, never the
// URL.
func ParseURL(field, raw string, limits Limits) (*url.URL, error) {
	fail := func(problem, remedy string) (*url.URL, error) {
		return nil, fieldError(field, channel.CodeInvalid, problem, remedy)
	}
	if raw == "" {
		return nil, fieldError(field, channel.CodeMissing, "is empty", "give an address such as https://hooks.example.com/path")
	}
	if len(raw) > maxURL {
		return nil, fieldError(field, channel.CodeRange, "is longer than 8 KiB", "shorten it")
	}
	if !utf8.ValidString(raw) {
		return fail("is not valid UTF-8", "percent-encode its special characters")
	}
	position := 0
	for _, r := range raw {
		position++
		switch {
		case r == ' ':
			return fail(fmt.Sprintf("has a space at character %d", position), "remove it, or write %20")
		case r == '\\':
			return fail(fmt.Sprintf("has a backslash at character %d", position), "write / or %5C")
		case r == '#':
			return fail(fmt.Sprintf("has a fragment at character %d", position), "remove everything from # on")
		case !unicode.IsPrint(r):
			return fail(fmt.Sprintf("has a control or invisible character at character %d", position), "remove it")
		}
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme == "" {
		return fail("is not an absolute URL", "begin it with https://")
	}
	switch scheme = strings.ToLower(scheme); {
	case scheme == "http" && !limits.AllowInsecureHTTP:
		return nil, fieldError(field, channel.CodeForbidden, "is not encrypted", "use https://, or limits that allow http://")
	case scheme != "https" && scheme != "http":
		return fail("has a scheme other than https", "begin it with https://")
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if strings.Contains(authority, "@") {
		return fail("has user info", "use an Authorization header instead")
	}
	host, port, reason := splitHostPort(authority)
	if reason == "" {
		host, reason = cleanHost(host, strings.HasPrefix(authority, "["))
	}
	if reason != "" {
		return fail(reason, hostRemedy)
	}
	if port != "" && limits.NoExplicitPort {
		return nil, fieldError(field, channel.CodeForbidden, "names a port", "leave the port out")
	}
	if n := portOf(scheme, port); !limits.allowsPort(n) {
		return nil, fieldError(field, channel.CodeForbidden, "uses a port that is not allowed", "use port "+joinInts(limits.Ports))
	}
	path, query, hasQuery := strings.Cut(path, "?")
	if !validEscapes(path) || !validEscapes(query) {
		return fail("has a percent sign that is not followed by two hexadecimal digits", "write %25 for a percent sign")
	}
	u := &url.URL{Scheme: scheme, Host: joinHostPort(host, port), RawQuery: escape(query, "'"), ForceQuery: hasQuery && query == ""}
	path = escape(path, "")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return fail("has a path that is not valid", "check its percent-encoding")
	}
	if u.Path = decoded; u.EscapedPath() != path {
		u.RawPath = path // url.URL would not write %2F, for example, as it came
	}
	return u, nil
}

// Origin returns scheme://host[:port] of u, which is all of a URL that errors and logs show.
func Origin(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// portOf returns the port that is used when the URL says port, which may be "".
func portOf(scheme, port string) int {
	if port == "" {
		if scheme == "http" {
			return 80
		}
		return 443
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

func validEscapes(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0; {
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return false
		}
		next := strings.IndexByte(s[i+3:], '%')
		if next < 0 {
			break
		}
		i += 3 + next
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// escape percent-encodes what RFC 3986 does not allow in a path or query, and the characters of more; net/url would
// send a query as it is. What is escaped already stays so.
func escape(s, more string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7F || strings.IndexByte("\"<>\\^`{|}", c) >= 0 || strings.IndexByte(more, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// SameDestination reports whether two URLs as users write them lead to the same place, however they are written: to the
// same scheme, host and port as they are dialled (the host in lower case with IDNA's A-labels, the port always named)
// and the same path and query as they are sent. Never compare the texts instead: "straße.example" and "straẞe.example"
// are equal by case folding and two hosts to DNS. A text that is no URL is the same as itself only.
func SameDestination(a, b string) bool {
	if a == b {
		return true
	}
	first, err := destination(a)
	if err != nil {
		return false
	}
	second, err := destination(b)
	return err == nil && first == second
}

// destination is the one form that all ways to write a URL have in common. Path and query may be a credential.
func destination(raw string) (string, error) {
	u, err := ParseURL("", raw, Limits{AllowInsecureHTTP: true})
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + address(u) + u.RequestURI(), nil
}
