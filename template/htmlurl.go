package template

import "strings"

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
			p.url = urlRefused // an entity: who knows of which character
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
			return refuse("the address of what <"+p.tag+"> loads would come from data",
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
		return refuse("host and port of a URL cannot come from data", whole)
	case urlRefused:
		return refuse("a value would be part of a script, or of the beginning of a URL", whole)
	case urlOpaque:
		if p.scheme == "mailto" || p.scheme == "tel" || p.scheme == "sms" {
			return outHTMLAddress, nil
		}
	default:
	}
	return outURL, nil
}

// joinURLs unites the ends of two branches in what is safe in both.
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

// cssState is where in the declarations of a style attribute the template so far ends.
type cssState struct {
	colon bool // behind the colon of a declaration
	depth int8 // open parentheses
	quote byte // in a string with this quote
}

func (c *cssState) feed(b byte) {
	switch {
	case c.quote != 0:
		if b == c.quote {
			c.quote = 0
		}
	case b == '"' || b == '\'':
		c.quote = b
	case b == ':':
		c.colon = true
	case b == ';' || b == '{' || b == '}':
		c.colon = false
	case b == '(' && c.depth < 100:
		c.depth++
	case b == ')' && c.depth > 0:
		c.depth--
	}
}

// appendCSS keeps of a value in a style what words, numbers, colours and lists are written with; none of it ends a
// declaration or calls a function.
func appendCSS(dst []byte, s string) []byte {
	for _, r := range strings.ToValidUTF8(s, "") {
		if isLetterOrDigit(r) || r >= 0xA0 || strings.ContainsRune(" #%.,-+_", r) {
			dst = append(dst, string(r)...)
		}
	}
	return dst
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
