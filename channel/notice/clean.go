package notice

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// line returns s as one line of at most limit runes: characters nobody should see are gone, and each run of blanks is
// one space.
func line(s string, limit int) string {
	return Truncate(tidy(s, limit, false), limit)
}

// paragraph is line for text of several lines, with at most one empty line in a row.
func paragraph(s string, limit int) string {
	return strings.TrimRight(Truncate(tidy(s, limit, true), limit), "\n")
}

// tidy stops soon after limit runes, so that the longest data costs no more than what is shown of it.
func tidy(s string, limit int, lines bool) string {
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
		case hidden(r):
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
		visible = visible || !joins("", r) && r != zeroWidthNonJoiner
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

// hidden tells whether r is a character that is not shown, or that changes how others are shown: controls, the
// overrides and isolates that make text read backwards, zero-width blanks, tags. The two joiners stay, because scripts
// and emoji need them, and so do the number signs of some scripts, which are seen.
func hidden(r rune) bool {
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
