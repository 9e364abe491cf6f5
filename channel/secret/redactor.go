package secret

import (
	"context"
	"math/bits"
	"slices"
	"sync/atomic"
)

// Redactor replaces secrets in text with [Redacted]. It knows the values it was made of and finds them as they are,
// trimmed, percent-encoded, as forms write them, JSON-escaped, HTML-escaped (up to three times over, in any mixture),
// in hexadecimal, in UTF-16, and within standard or URL-safe base64, such as a Basic authorization. Those three are
// also found of what encoding/json, net/url and package html make of a value, but not of one another. For a value that
// is an http URL its its parts count too. The time it takes is linear in the length of the text.
//
// Values under 8 characters are not searched for: hide those by their place. A Redactor is immutable and safe for
// concurrent use, shows nothing when printed, and does not allocate when it finds nothing in text without escapes. A
// nil or zero Redactor changes nothing.
type Redactor struct {
	matchers func() []*matcher // a function, because package fmt prints what it can reach
}

// NewRedactor makes a Redactor for the given values.
func NewRedactor(values ...string) *Redactor {
	longest := 0
	for _, v := range values {
		longest = max(longest, len(v))
	}
	var list []*matcher
	if patterns := patternsOf(values); patterns != nil {
		list = append(list, newMatcher(patterns, longest))
	}
	return &Redactor{func() []*matcher { return list }}
}

// Join returns a Redactor that knows what all of rs know, of which some may be nil. It costs next to nothing.
func Join(rs ...*Redactor) *Redactor {
	if len(rs) == 2 && rs[1] == nil {
		return rs[0]
	}
	var list []*matcher
	for _, r := range rs {
		list = append(list, r.known()...)
	}
	return &Redactor{func() []*matcher { return list }}
}

func (r *Redactor) known() []*matcher {
	if r == nil || r.matchers == nil {
		return nil
	}
	return r.matchers()
}

// String returns s without the secrets.
func (r *Redactor) String(s string) string {
	spans := search(r.known(), s)
	if spans == nil {
		return s
	}
	return string(replace(s, spans))
}

// Bytes returns b without the secrets: b itself if there are none, else a copy.
func (r *Redactor) Bytes(b []byte) []byte {
	spans := search(r.known(), b)
	if spans == nil {
		return b
	}
	return replace(b, spans)
}

// Has reports whether b holds one of the secrets.
func (r *Redactor) Has(b []byte) bool { return search(r.known(), b) != nil }

// Lookahead is how much more than it shows of a text that goes on Cut should be given.
const Lookahead = 16 << 10

// Cut returns the first n bytes of b without the secrets, one that goes on behind them included. whole says that b is
// all there is of the text. If it is not, the end of b may be the beginning of a secret of which the rest is missing.
// It is then removed whatever it holds, in a length that depends on the longest value only: were it removed for what it
// holds, it would tell a beginning of a secret from what is none. With [Lookahead] more in b than n, that takes nothing
// of what is shown, unless a value is longer than 2 KiB.
func (r *Redactor) Cut(b []byte, n int, whole bool) []byte {
	known := r.known()
	spans := search(known, b)
	if !whole {
		if reach := reachOf(known); reach > 0 {
			spans = join(append(spans, span{max(len(b)-reach, 0), len(b)}))
		}
	}
	n = min(max(n, 0), len(b))
	shown := spans[:0:0]
	for _, s := range spans {
		if s.start < n {
			shown = append(shown, span{s.start, min(s.end, n)})
		}
	}
	if shown == nil {
		return b[:n:n]
	}
	return replace(b[:n], shown)
}

// reachOf is how much of the end of an incomplete text may belong to a secret. An escape takes up to six bytes, and
// eight within JSON within a form. It is a power of two, so that it tells little of the length of a value.
func reachOf(known []*matcher) int {
	const perByte, least = 8, 256
	longest := 0
	for _, m := range known {
		longest = max(longest, m.longest)
	}
	if longest < minLength {
		return 0
	}
	return max(least, 1<<bits.Len(uint(longest*perByte-1)))
}

// maxLayers is how often the escapes of a text are decoded, whatever their kinds.
const maxLayers = 3

// search returns the ranges of s to replace, ordered and apart, or nil.
func search[T string | []byte](known []*matcher, s T) []span {
	var spans []span
	for _, m := range known {
		spans = find(m, s, spans)
	}
	if len(known) > 0 && (has(s, '%') || has(s, '\\') || has(s, '&')) {
		spans = searchDecoded(known, s, nil, anyEscapes, maxLayers, spans)
		// A value that holds escapes itself comes out as it is only where each encoding is undone by itself.
		for _, kind := range [...]escapes{percentEscapes, backslashEscapes, htmlReferences} {
			spans = searchDecoded(known, s, nil, kind, 2, spans)
		}
	}
	if len(spans) < 2 {
		return spans
	}
	return join(spans)
}

func has[T string | []byte](s T, c byte) bool { return index(s, c, 0) < len(s) }

// searchDecoded searches s, the text of a view or, if of is nil, the whole one, with its escapes of the given kinds
// decoded, and what becomes of that when there are more layers to decode.
func searchDecoded[T string | []byte](known []*matcher, s T, of *view, kinds escapes, layers int, spans []span) []span {
	v := views.Get().(*view) //nolint:forcetypeassert // nothing else is put in
	defer putBack(v)
	if !unescape(v, s, kinds) {
		return spans
	}
	v.of = of
	first := len(spans)
	for _, m := range known {
		spans = find(m, v.text, spans)
	}
	for i := first; i < len(spans); i++ {
		for at := v; at != nil; at = at.of {
			spans[i] = at.original(spans[i])
		}
	}
	switch {
	case layers == 1:
	case kinds == anyEscapes:
		spans = searchDecoded(known, v.text, v, anyEscapes, layers-1, spans)
	default:
		for _, kind := range [...]escapes{percentEscapes, backslashEscapes, htmlReferences} {
			spans = searchDecoded(known, v.text, v, kind, layers-1, spans)
		}
	}
	return spans
}

// putBack gives v to others to use, without the text: what is redacted should not live on in a pool.
func putBack(v *view) {
	const largest = 1 << 20
	if cap(v.text) > largest {
		return
	}
	v.of = nil
	clear(v.text[:cap(v.text)])
	views.Put(v)
}

func replace[T string | []byte](s T, spans []span) []byte {
	out := make([]byte, 0, len(s)+len(spans)*len(Redacted))
	end := 0
	for _, r := range spans {
		out = append(out, s[end:r.start]...)
		out = append(out, Redacted...)
		end = r.end
	}
	return append(out, s[end:]...)
}

// Set keeps the Redactor of a channel's values up to date. It is safe for concurrent use. A nil or zero Set has no
// values.
type Set struct {
	redactor func(context.Context) (*Redactor, error)
	expire   func()
}

// NewSet makes a Set of the given values; those not set are left out.
func NewSet(values ...Value) *Set {
	values = slices.DeleteFunc(slices.Clone(values), Value.IsZero)
	type state struct {
		known    []revealed
		redactor *Redactor
	}
	var current atomic.Pointer[state]
	redactor := func(ctx context.Context) (*Redactor, error) {
		s := current.Load()
		changed := s == nil
		for i := 0; i < len(values) && !changed; i++ {
			now, err := values[i].read(ctx)
			if err != nil {
				return nil, err
			}
			changed = now != s.known[i]
		}
		if !changed {
			return s.redactor, nil
		}
		s = &state{}
		var texts []string
		for _, v := range values {
			now, err := v.read(ctx)
			if err != nil {
				return nil, err
			}
			s.known = append(s.known, now)
			texts = append(texts, now.text, now.before)
		}
		s.redactor = NewRedactor(texts...)
		current.Store(s)
		return s.redactor, nil
	}
	expire := func() {
		for _, v := range values {
			v.Expire()
		}
	}
	return &Set{redactor, expire}
}

// Expire does [Value.Expire] to every value.
func (s *Set) Expire() {
	if s != nil && s.expire != nil {
		s.expire()
	}
}

// Redactor returns a Redactor of the values as they are and as they were before their last change; it is made anew only
// when one has changed. Ask once per attempt, after the values for it were revealed and before anything is sent: it
// fails when a value cannot be read, and an attempt that cannot be redacted must not be made.
func (s *Set) Redactor(ctx context.Context) (*Redactor, error) {
	if s == nil || s.redactor == nil {
		return new(Redactor), nil
	}
	return s.redactor(ctx)
}
