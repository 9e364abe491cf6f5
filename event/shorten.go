package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// shortestCut is the length, in bytes of JSON, below which no text is shortened: identifiers, names and links stay
	// whole.
	shortestCut = 256
	// maxShortened bounds the list of shortened fields, and maxShortenedName each of its entries in bytes.
	maxShortened     = 16
	maxShortenedName = 128

	// Names of the JSON form that code compares.
	dataField       = "data"
	attributesField = "attributes"
	shortenedField  = "shortened"
)

// Shorten returns an event whose JSON form has at most size bytes: e itself if it fits, otherwise a copy with the
// longest texts of its data shortened, as [New] does. When that is not enough, the copy's data is {}, and when even
// that is too much it has no attributes either. [Event.Shortened] says what is missing; only an event that has data
// fits its [Schema]. What is left then has less than 8 KiB and is not shortened any further, so a size of 0 asks for
// the envelope alone. It is for destinations with a limit of their own.
func (e Event) Shorten(size int) Event {
	if e.p == nil || len(e.JSON()) <= size {
		return e
	}
	for limit := len(e.p.data) - len(e.JSON()) + size; ; {
		data, names, ok := shortenTexts(e.p.data, limit)
		if !ok {
			break
		}
		c := e.p.content
		c.data, c.shortened = data, mergeNames(c.shortened, names)
		short := newEvent(c)
		over := len(short.JSON()) - size // for the list of names
		if over <= 0 {
			return short
		}
		limit -= over
	}
	c := e.p.content
	c.data, c.shortened = json.RawMessage("{}"), []string{dataField}
	short := newEvent(c)
	if len(short.JSON()) > size && len(c.attrs) > 0 {
		c.attrs, c.shortened = nil, append(c.shortened, attributesField)
		short = newEvent(c)
	}
	return short
}

// Shortened lists the fields whose text was shortened to fit a limit, for example "data.justification" or
// "attributes.external_key"; "data" or "attributes" alone were left out. At most 16 are listed, each cut to 128 bytes.
// It is nil for an event that is complete. The result is the caller's.
func (e Event) Shortened() []string {
	if e.p == nil {
		return nil
	}
	return slices.Clone(e.p.shortened)
}

// mergeNames returns all names once, as far as the limits allow.
func mergeNames(lists ...[]string) []string {
	var all []string
	for _, name := range slices.Concat(lists...) {
		if name = clipBytes(name, maxShortenedName); !slices.Contains(all, name) && len(all) < maxShortened {
			all = append(all, name)
		}
	}
	return all
}

// clipBytes cuts s to at most limit bytes, between runes.
func clipBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// cutMark stands at the end of a shortened text. It needs no escape in JSON.
func cutMark(missing int) string {
	return "…[" + strconv.Itoa(missing) + " characters left out]"
}

// longestCutMark is the most bytes of a mark.
const longestCutMark = len("…[ characters left out]") + 20

// shortenText returns s, which is valid UTF-8, in at most limit bytes, with a mark if something had to go.
func shortenText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	kept := clipBytes(s, limit-longestCutMark)
	return kept + cutMark(utf8.RuneCountInString(s[len(kept):]))
}

// shortenTexts returns the valid JSON object b in at most limit bytes by cutting its longest texts to one length, and
// the names of those. It is false when that would take cutting texts to less than shortestCut.
func shortenTexts(b []byte, limit int) (json.RawMessage, []string, bool) {
	cut, ok := commonLength(b, len(b)-limit)
	if !ok {
		return nil, nil, false
	}
	var names []string
	out := make([]byte, 0, max(limit, 0))
	copied := 0
	walkTexts(b, func(start, end int, path func() string) {
		if end-start <= cut {
			return
		}
		keep, missing := cutText(b[start:end], cut-longestCutMark)
		out = append(out, b[copied:start+keep]...)
		out = append(out, cutMark(missing)...)
		copied = end
		if len(names) < maxShortened {
			names = append(names, dataField+path())
		}
	})
	return slices.Clip(append(out, b[copied:]...)), names, true
}

// commonLength is the length to which the texts of b have to be cut for them to lose at least excess bytes in all.
func commonLength(b []byte, excess int) (int, bool) {
	var lengths []int
	walkTexts(b, func(start, end int, _ func() string) {
		if end-start > shortestCut {
			lengths = append(lengths, end-start)
		}
	})
	slices.SortFunc(lengths, func(a, b int) int { return b - a })
	sum := 0
	for i, n := range lengths {
		sum += n
		next := shortestCut
		if i+1 < len(lengths) {
			next = lengths[i+1]
		}
		if cut := (sum - excess) / (i + 1); sum >= excess && cut >= next {
			return cut, true
		}
	}
	return 0, false
}

// cutText returns how many bytes of the content of a JSON string fit into limit without splitting a character or an
// escape, and how many characters are left out then.
func cutText(s []byte, limit int) (keep, missing int) {
	for i := 0; i < len(s); {
		i += characterLength(s[i:])
		if i <= limit {
			keep = i
		} else {
			missing++
		}
	}
	return keep, missing
}

// characterLength is how many bytes the first character of a JSON string's content takes.
func characterLength(s []byte) int {
	switch {
	case s[0] != '\\':
		_, n := utf8.DecodeRune(s)
		return n
	case s[1] != 'u':
		return 2
	case len(s) >= 12 && s[6] == '\\' && s[7] == 'u' && utf16.DecodeRune(escapedUnit(s), escapedUnit(s[6:])) != utf8.RuneError:
		return 12
	default:
		return 6
	}
}

// escapedUnit returns the UTF-16 unit of the escape \uXXXX that s begins with.
func escapedUnit(s []byte) rune {
	n, _ := strconv.ParseUint(string(s[2:6]), 16, 16) // cannot fail, it is valid JSON
	return rune(n)
}

// replaceSurrogates returns b, which is valid JSON, with U+FFFD for each escape that stands for half a character.
// RFC 8259 leaves open what a receiver makes of one; many refuse the whole text.
func replaceSurrogates(b []byte) []byte {
	if !bytes.Contains(b, []byte(`\ud`)) && !bytes.Contains(b, []byte(`\uD`)) {
		return b
	}
	b = bytes.Clone(b)
	for i := 0; i < len(b); {
		n := characterLength(b[i:])
		if n == 6 && utf16.IsSurrogate(escapedUnit(b[i:])) {
			copy(b[i:], `\ufffd`)
		}
		i += n
	}
	return b
}

// pathStep is one level of the path to a value: a member of an object or an element of a list.
type pathStep struct {
	name  []byte // quoted; nil in a list
	index int
	list  bool
}

// walkTexts calls f with the content of every string value of the valid JSON object or list b: where it begins and ends
// between its quotes, and how to get there from the root, such as ".approvals[0].name".
func walkTexts(b []byte, f func(start, end int, path func() string)) {
	var steps []pathStep
	path := func() string {
		var s strings.Builder
		for _, at := range steps {
			if at.list {
				s.WriteString("[" + strconv.Itoa(at.index) + "]")
				continue
			}
			var name string
			_ = json.Unmarshal(at.name, &name) // cannot fail, it is a valid JSON string
			s.WriteString("." + name)
		}
		return s.String()
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			steps = append(steps, pathStep{list: b[i] == '['})
		case '}', ']':
			steps = steps[:len(steps)-1]
		case ',':
			steps[len(steps)-1].index++
		case '"':
			end := stringEnd(b, i)
			if next := skip(b, end, ' '); next < len(b) && b[next] == ':' {
				steps[len(steps)-1].name = b[i:end]
			} else {
				f(i+1, end-1, path)
			}
			i = end - 1
		}
	}
}
