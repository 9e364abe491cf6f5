package notice

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// line returns s as one line of at most limit runes: characters nobody should see are gone, and each run of blanks is
// one space.
func line(s string, limit int) string {
	return Truncate(clean(s, limit, false), limit)
}

// paragraph is line for text of several lines, with at most one empty line in a row.
func paragraph(s string, limit int) string {
	return strings.TrimRight(Truncate(clean(s, limit, true), limit), "\n")
}

// clean stops soon after limit runes, so that the longest data costs no more than what is shown of it.
func clean(s string, limit int, lines bool) string {
	var b strings.Builder
	runes, blank, feeds := 0, false, 0
	visible := false
	for i, r := range s {
		switch {
		case lines && (r == '\n' && !strings.HasSuffix(s[:i], "\r") || r == '\r' || r == '\u2028' || r == '\u2029'):
			feeds++
			continue
		case r == '\n' && lines: // the second half of a CRLF
			continue
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029':
			blank = true
			continue
		case isInvisible(r):
			continue
		}
		if runes > 0 && feeds > 0 {
			b.WriteString("\n\n"[:min(feeds, 2)])
			runes += min(feeds, 2)
		} else if runes > 0 && blank {
			b.WriteByte(' ')
			runes++
		}
		blank, feeds = false, 0
		visible = visible || !continuesCharacter("", r) && r != zeroWidthNonJoiner
		b.WriteRune(r) // U+FFFD for a bad byte
		if runes++; runes > limit {
			break
		}
	}
	if !visible {
		return "" // nothing but joiners and accents
	}
	return b.String()
}

// isInvisible reports whether r is a character that is not shown, or that changes how others are shown: controls, the
// overrides and isolates that make text read backwards, zero-width blanks, tags. The two joiners stay, because scripts
// and emoji need them, and so do the number signs of some scripts, which are seen.
func isInvisible(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return unicode.IsControl(r)
	case r == zeroWidthJoiner || r == zeroWidthNonJoiner:
		return false
	case unicode.Is(unicode.Cf, r):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	default:
		return unicode.IsControl(r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
	}
}

// ellipsis ends shortened text.
const ellipsis = "…"

// Truncate returns s in at most limit runes, the last of them "…" if some had to go. It cuts between characters as
// people see them, as far as accents, joined emoji and variants go. A limit of 0 or less gives "".
func Truncate(s string, limit int) string {
	if len(s) <= limit { // no more runes than bytes
		return s
	}
	return truncateTo(s, limit, func(rune) int { return 1 })
}

// TruncateBytes is [Truncate] with a limit in bytes of UTF-8.
func TruncateBytes(s string, limit int) string {
	return truncateTo(s, limit, utf8.RuneLen)
}

// TruncateUTF16 is [Truncate] with a limit in UTF-16 units, as products count that are written in JavaScript, Java or
// C#.
func TruncateUTF16(s string, limit int) string {
	if len(s) <= limit { // no more units than bytes
		return s
	}
	return truncateTo(s, limit, func(r rune) int { return 1 + (utf8.RuneLen(r)-1)/3 })
}

// truncateTo shortens s to a limit, in whatever size measures runes.
func truncateTo(s string, limit int, size func(rune) int) string {
	used, keep := 0, 0 // keep: how much of s fits together with the ellipsis
	room := limit - size('…')
	for i, r := range s {
		if used <= room && !continuesCharacter(s[:i], r) {
			keep = i
		}
		if used += size(r); used > limit {
			if room < 0 {
				return ""
			}
			return strings.TrimRightFunc(s[:keep], unicode.IsSpace) + ellipsis
		}
	}
	return s
}

const (
	zeroWidthJoiner    = '\u200d'
	zeroWidthNonJoiner = '\u200c'
)

// continuesCharacter reports whether r belongs to the character that before ends with.
func continuesCharacter(before string, r rune) bool {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) || r == zeroWidthJoiner || r >= 0x1F3FB && r <= 0x1F3FF /* skin tones */ {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(before)
	return last == zeroWidthJoiner
}

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
		if isInvisible(r) || r == '\uFFFD' {
			return ""
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || !isASCIIHost(u.Hostname()) {
		return ""
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return ""
		}
	}
	s := percentEncode(u.String())
	if len(s) > maxLink {
		return ""
	}
	return s
}

// isASCIIHost takes names and IP addresses. An internationalised name has to be in its ASCII form, so that it can be
// distinguished from one that only looks the same.
func isASCIIHost(host string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:"
	return host != "" && strings.Trim(host, allowed) == ""
}

// percentEncode percent-encodes what RFC 3986 allows nowhere in a URL.
func percentEncode(s string) string {
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
