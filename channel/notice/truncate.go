package notice

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mark stands at the end of shortened text.
const mark = "…"

// Truncate returns s in at most limit runes, the last of them "…" if some had to go. It cuts between characters as
// people see them, as far as accents, joined emoji and variants go. A limit of 0 or less gives "".
func Truncate(s string, limit int) string {
	if len(s) <= limit { // no more runes than bytes
		return s
	}
	return cut(s, limit, func(rune) int { return 1 })
}

// TruncateBytes is [Truncate] with a limit in bytes of UTF-8.
func TruncateBytes(s string, limit int) string {
	return cut(s, limit, utf8.RuneLen)
}

// TruncateUTF16 is [Truncate] with a limit in UTF-16 units, as products count that are written in JavaScript, Java or
// C#.
func TruncateUTF16(s string, limit int) string {
	if len(s) <= limit { // no more units than bytes
		return s
	}
	return cut(s, limit, func(r rune) int { return 1 + (utf8.RuneLen(r)-1)/3 })
}

// cut shortens s to a limit, in whatever size measures runes.
func cut(s string, limit int, size func(rune) int) string {
	used, keep := 0, 0 // keep: how much of s fits together with the mark
	room := limit - size('…')
	for i, r := range s {
		if used <= room && !joins(s[:i], r) {
			keep = i
		}
		if used += size(r); used > limit {
			if room < 0 {
				return ""
			}
			return strings.TrimRightFunc(s[:keep], unicode.IsSpace) + mark
		}
	}
	return s
}

const (
	zeroWidthJoiner    = '\u200d'
	zeroWidthNonJoiner = '\u200c'
)

// joins tells whether r belongs to the character that before ends with.
func joins(before string, r rune) bool {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) || r == zeroWidthJoiner || r >= 0x1F3FB && r <= 0x1F3FF /* skin tones */ {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(before)
	return last == zeroWidthJoiner
}
