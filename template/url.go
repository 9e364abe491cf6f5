package template

import "strings"

// afterAuthority reports whether a URL that begins with prefix has its scheme, host and port behind it, so that values
// may follow. A prefix that begins with a single slash, ? or # is a part of a URL without them.
func afterAuthority(prefix string) bool {
	if strings.HasPrefix(prefix, "?") || strings.HasPrefix(prefix, "#") {
		return true
	}
	if strings.HasPrefix(prefix, "/") && !strings.HasPrefix(prefix, "//") {
		return true
	}
	_, rest, found := strings.Cut(prefix, "//")
	return found && strings.ContainsAny(rest, "/?#")
}

// endsInEscape reports whether text ends in an incomplete %XX, which a value would complete.
func endsInEscape(text string) bool {
	n := len(text)
	return n > 0 && text[n-1] == '%' || n > 1 && text[n-2] == '%' && hexDigit(rune(text[n-1])) >= 0
}

// dotSegment returns the offset of the first segment of the path that is "." or "..", also written with %2e; -1 when
// there is none.
func dotSegment(url []byte) int {
	start := 0
	if i := indexAuthority(url); i >= 0 {
		start = i
		for start < len(url) && url[start] != '/' && url[start] != '?' && url[start] != '#' {
			start++
		}
	}
	for start < len(url) {
		end := start
		for end < len(url) && url[end] != '/' && url[end] != '?' && url[end] != '#' {
			end++
		}
		if isDots(url[start:end]) {
			return start
		}
		if end == len(url) || url[end] != '/' {
			return -1
		}
		start = end + 1
	}
	return -1
}

// indexAuthority returns the offset behind the // of a URL, or -1. A path may hold // as well, behind its first slash.
func indexAuthority(url []byte) int {
	for i, b := range url {
		switch b {
		case '/':
			if i+1 < len(url) && url[i+1] == '/' && (i == 0 || url[i-1] == ':') {
				return i + 2
			}
			return -1
		case '?', '#':
			return -1
		}
	}
	return -1
}

func isDots(segment []byte) bool {
	dots := 0
	for i := 0; i < len(segment); i++ {
		switch {
		case segment[i] == '.':
		case i+2 < len(segment) && segment[i] == '%' && segment[i+1] == '2' && segment[i+2]|0x20 == 'e':
			i += 2
		default:
			return false
		}
		dots++
	}
	return dots == 1 || dots == 2
}

// urlState is where in the URL of an HTML attribute the template so far ends.
type urlState uint8

const (
	urlStart      urlState = iota // nothing yet: a value may be the whole URL
	urlName                       // text that may be a scheme
	urlValue                      // a value, and no / ? # yet
	urlSlash                      // after / as the first character
	urlSlashValue                 // values behind that
	urlSlashes                    // after https:
	urlAuthority                  // in user, host or port
	urlOpaque                     // behind mailto: and other schemes without a host of ours
	urlRest                       // in path, query or fragment
	urlRefused                    // in javascript: and the like, or where it cannot be known
)

// feedURL reads a byte of the URL of an attribute.
func (p *htmlPlace) feedURL(b byte) (message, hint string) {
	if b == '\t' || b == '\n' || b == '\r' {
		return "", "" // browsers remove them
	}
	isSlash := b == '/' || b == '\\'
	switch p.url {
	case urlStart, urlName:
		switch {
		case b == ' ' && p.url == urlStart:
		case b == ':':
			p.url = stateOfScheme(p.scheme)
		case b == '&':
			p.url = urlRefused // an entity, which is not decoded here
		case isSlash && p.url == urlStart:
			p.url = urlSlash
		case isSlash || b == '?' || b == '#':
			p.url = urlRest
		default:
			p.url, p.scheme = urlName, appendName(p.scheme, b)
		}
	case urlValue:
		if b == ':' {
			return "a value would be the scheme of a URL", "write scheme and host out, or let one value be the whole URL"
		}
		if isSlash || b == '?' || b == '#' {
			p.url = urlRest
		}
	case urlSlash:
		if p.url = urlRest; isSlash {
			p.url = urlAuthority
		}
	case urlSlashValue:
		if p.url = urlRest; isSlash {
			p.url = urlRefused // an empty value would make a host of what follows
		}
	case urlSlashes:
		if !isSlash {
			p.url = urlAuthority
		}
	case urlAuthority:
		if isSlash || b == '?' || b == '#' {
			p.url = urlRest
		}
	case urlOpaque:
		if b == '?' || b == '#' {
			p.url = urlRest
		}
	default:
	}
	return "", ""
}

// stateOfScheme returns the state behind a scheme that the template's author wrote.
func stateOfScheme(scheme string) urlState {
	switch scheme {
	case "http", "https", "ftp", "ws", "wss", "file":
		return urlSlashes
	case "javascript", "vbscript", "livescript", "mocha", "data", "":
		return urlRefused
	}
	return urlOpaque
}

// valueOfURL says how a value in the URL of an attribute is written.
func (p *htmlPlace) valueOfURL() (output, *htmlFault) {
	const whole = "write scheme and host out up to the first slash, or let one value be the whole URL"
	switch p.tag {
	case "link", "base", "object", "embed", "applet", "frame", "iframe", "portal":
		if p.url != urlRest {
			return noValue("the address of what <"+p.tag+"> loads would come from data",
				"write scheme and host out up to the first slash")
		}
	}
	switch p.url {
	case urlStart:
		p.url = urlValue
		return outHTMLURL, nil
	case urlName:
		p.url = urlValue
	case urlSlash:
		p.url = urlSlashValue
	case urlSlashes, urlAuthority:
		return noValue("host and port of a URL cannot come from data", whole)
	case urlRefused:
		return noValue("a value would be part of a script, or of the beginning of a URL", whole)
	case urlOpaque:
		if p.scheme == "mailto" || p.scheme == "tel" || p.scheme == "sms" {
			return outHTMLAddress, nil
		}
	default:
	}
	return outURL, nil
}

// joinURLs merges the ends of two branches in what is safe in both.
func joinURLs(a, b urlState) urlState {
	either := func(states ...urlState) bool {
		for _, s := range states {
			if a == s || b == s {
				return true
			}
		}
		return false
	}
	switch {
	case a == b:
		return a
	case either(urlRefused, urlOpaque):
		return urlRefused
	case either(urlSlashes, urlAuthority):
		return urlAuthority
	case either(urlSlash, urlSlashValue):
		return urlSlashValue
	}
	return urlValue
}

// appendHTMLURL appends a whole URL as the value of an attribute: "#" unless it is relative or its scheme is one that
// only opens a page, a mail or a call.
func appendHTMLURL(dst []byte, s string) []byte {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) // as browsers do
	if i := strings.IndexAny(s, ":/?#"); i >= 0 && s[i] == ':' {
		switch strings.ToLower(s[:i]) {
		case "http", "https", "mailto", "tel", "sms", "ftp":
		default:
			return append(dst, '#')
		}
	}
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b <= ' ' || b == 0x7F || strings.IndexByte("\"<>\\^`{|}", b) >= 0:
			dst = appendPercent(dst, b)
		default:
			if e := htmlEntity(b); e != "" {
				dst = append(dst, e...)
			} else {
				dst = append(dst, b)
			}
		}
	}
	return dst
}

// appendAddress is appendURL that keeps the characters which addresses of mail and telephones are written with.
func appendAddress(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b == '@' || b == '+' {
			dst = append(dst, b)
		} else {
			dst = appendURL(dst, s[i:i+1])
		}
	}
	return dst
}
