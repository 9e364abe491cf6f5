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
