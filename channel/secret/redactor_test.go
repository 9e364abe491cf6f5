package secret

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// awkward has a character for every kind of escape.
const awkward = "p@ss/w+rd=&\"q\\t<é>% \U0001F511end"

func percentAll(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func jsonText(s string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}

func jsonASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xFFFF {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04X\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func references(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// encodings are the forms in which a receiver may send a value back.
var encodings = map[string]func(string) string{
	"raw":                   func(s string) string { return s },
	"query-escaped":         url.QueryEscape,
	"path-escaped":          url.PathEscape,
	"percent-encoded":       percentAll,
	"percent upper":         func(s string) string { return strings.ToUpper(percentAll(s)) },
	"query-escaped twice":   func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"path-escaped 3 times":  func(s string) string { return url.PathEscape(url.PathEscape(url.PathEscape(s))) },
	"JSON":                  func(s string) string { return jsonText(s, true) },
	"JSON without HTML":     func(s string) string { return jsonText(s, false) },
	"JSON in JSON":          func(s string) string { return jsonText(jsonText(s, true), true) },
	"JSON all escaped":      jsonASCII,
	"JSON with \\/":         func(s string) string { return strings.ReplaceAll(jsonText(s, true), "/", `\/`) },
	"query-escaped in JSON": func(s string) string { return jsonText(url.PathEscape(s), true) },
	"HTML":                  html.EscapeString,
	"HTML twice":            func(s string) string { return html.EscapeString(html.EscapeString(s)) },
	"HTML by names": func(s string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "'", "&apos;").Replace(s)
	},
	"HTML by number":   func(s string) string { return references(s, "&#%d;") },
	"HTML hexadecimal": func(s string) string { return references(s, "&#x%x;") },
	"HTML HEXADECIMAL": func(s string) string { return references(s, "&#X%X;") },
	"HTML in JSON":     func(s string) string { return jsonText(html.EscapeString(s), true) },
	"JSON in HTML":     func(s string) string { return html.EscapeString(jsonText(s, true)) },
	"UTF-16 little":    func(s string) string { little, _ := wide(s); return little },
	"UTF-16 big":       func(s string) string { _, big := wide(s); return big },
	"Go quoted":        func(s string) string { return fmt.Sprintf("%q", s) },
	"hex":              func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hex upper":        func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"base64":           func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 raw":       func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64 URL":       func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"base64 escaped":   func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"base64 in JSON": func(s string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(s)), "/", `\/`)
	},
}

func TestS50_EveryEncodingIsRemoved(t *testing.T) {
	t.Parallel()
	for _, value := range []string{awkward, "sk_live_0123456789abcdef", "12345678", "pa ss wo rd", "Zm9v+/Zm9v/+Zm9v", strings.Repeat("long-value/", 60)} {
		r := NewRedactor("another secret", value)
		for name, encode := range encodings {
			text := "before: {\"echo\":[" + encode(value) + "]} after"
			got := r.String(text)
			assert.Contains(t, got, Redacted, "%s of %q", name, value)
			assert.NotContains(t, got, encode(value), name)
			assert.True(t, strings.HasPrefix(got, "before: {\"echo\":["), "%s: %s", name, got)
			assert.True(t, strings.HasSuffix(got, " after"), "%s: %s", name, got)
			// Whatever is left is at most padding and quotes, nothing of the value.
			left := strings.NewReplacer(Redacted, "", "before: {\"echo\":[", "", "]} after", "", `"`, "", `\`, "", "=", "", "%3D", "", "&#34;", "").Replace(got)
			assert.Empty(t, left, "%s of %q", name, value)
			assert.Equal(t, got, string(r.Bytes([]byte(text))))
		}
	}
}

// What is left of these without their escapes is shorter than what is searched for.
func TestS50_ValuesThatHoldEscapesThemselves(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`a"%41%42`, `%26&<b>%3C`, `\u0041"\u0042`} {
		r := NewRedactor(value)
		for _, name := range []string{"raw", "query-escaped", "percent-encoded", "JSON", "HTML", "base64"} {
			got := r.String("bad key: " + encodings[name](value))
			assert.Contains(t, got, Redacted, "%s of %q: %s", name, value, got)
			assert.NotContains(t, got, encodings[name](value), name)
		}
	}
}

func TestS50_Base64AtEveryAlignment(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"12345678", "password-of-9", "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xff", awkward} {
		r := NewRedactor(value)
		for before := range 7 {
			for after := range 4 {
				whole := strings.Repeat("u", before) + value + strings.Repeat("z", after)
				for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
					got := r.String("Basic " + enc.EncodeToString([]byte(whole)) + "\r\n")
					require.Contains(t, got, Redacted, "%d before, %d after", before, after)
					// At most what encodes the neighbours alone is left.
					left := strings.TrimSuffix(strings.TrimPrefix(got, "Basic "), "\r\n")
					head, tail, _ := strings.Cut(left, Redacted)
					assert.LessOrEqual(t, len(head)*6, before*8, "%d before", before)
					assert.Less(t, len(strings.TrimRight(tail, "="))*6, after*8+6, "%d after", after)
				}
			}
		}
	}
}

func TestS50_BasicAuthorization(t *testing.T) {
	t.Parallel()
	r := NewRedactor("correct horse battery")
	got := r.String("535 5.7.8 bad credentials " + base64.StdEncoding.EncodeToString([]byte("\x00user\x00correct horse battery")))
	assert.Contains(t, got, Redacted)
	assert.NotContains(t, got, base64.StdEncoding.EncodeToString([]byte("correct horse battery"))[4:16])
}

func TestS50_ShortValuesAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := NewRedactor("1234567", "", "x")
	assert.Equal(t, "order 1234567 for x", r.String("order 1234567 for x"))
	assert.Equal(t, "order 12345678", NewRedactor().String("order 12345678"))
	assert.Equal(t, "anything", (*Redactor)(nil).String("anything"))
	assert.Equal(t, "anything", new(Redactor).String("anything"))
	none, err := new(Set).Redactor(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "anything", none.String("anything"))
	assert.Equal(t, "order [redacted]", NewRedactor("12345678").String("order 12345678"))
}

func TestS50_OverlapsAndRepetition(t *testing.T) {
	t.Parallel()
	r := NewRedactor("abcdefgh", "efghijklmn", "abcdefghijklmnop", "aaaaaaaa")
	for in, want := range map[string]string{
		"abcdefgh":                Redacted,
		"abcdefghijklmn":          Redacted,
		"abcdefghijklmnop.":       Redacted + ".",
		"abcdefghabcdefgh":        Redacted,
		"abcdefgh abcdefgh":       Redacted + " " + Redacted,
		strings.Repeat("a", 99):   Redacted,
		"abcdefg":                 "abcdefg",
		"xabcdefgx":               "xabcdefgx",
		"efghijklmnop":            Redacted + "op",
		"é" + "abcdefgh" + "\xff": "é" + Redacted + "\xff",
	} {
		assert.Equal(t, want, r.String(in))
	}
}

func TestS50_InputIsNotModified(t *testing.T) {
	t.Parallel()
	r := NewRedactor("sk_live_0123456789")
	in := []byte("a sk_live_0123456789 b")
	out := r.Bytes(in)
	assert.Equal(t, "a sk_live_0123456789 b", string(in))
	assert.Equal(t, "a [redacted] b", string(out))
	clean := []byte("nothing % here \\n")
	assert.Same(t, &clean[0], &r.Bytes(clean)[0], "no copy when there is nothing to remove")
}

func TestS50_CutValueIsRemoved(t *testing.T) {
	t.Parallel()
	const value = "sk_live/0123456789abcdef"
	r := NewRedactor(value)
	before := strings.Repeat("answer ", 40) + "key="
	for name, encode := range encodings {
		whole := before + encode(value) + " and more"
		for n := len(before) + 1; n < len(whole); n++ {
			got := string(r.Cut([]byte(whole[:n]), n, false))
			require.True(t, strings.HasSuffix(got, Redacted), "%s cut to %q", name, whole[:n])
			require.True(t, strings.HasPrefix(before, strings.TrimSuffix(got, Redacted)), "%s: %q", name, got)
			// With what comes behind the cut, nothing is taken but the value.
			got = string(r.Cut([]byte(whole), n, true))
			left := strings.NewReplacer(before, "", Redacted, "", `"`, "", `\`, "", "&#34;", "", "=", "", "%3D", "").Replace(got)
			require.Contains(t, []string{"", "&", "&#", "&#3", "&#34", " ", " a", " an", " and", " and ", " and m", " and mo", " and mor"}, left, "%s: %q", name, got)
			ahead := whole + strings.Repeat(" and more", 50)
			require.Equal(t, got, string(r.Cut([]byte(ahead), n, false)), "%s cut to %q", name, whole[:n])
		}
	}
	assert.Equal(t, "key=sk_live/01", r.String("key=sk_live/01"), "without a cut a beginning is no secret")
	assert.Equal(t, Redacted+" do", string(r.Cut([]byte(value+" done"), len(value)+3, true)))
	assert.Equal(t, "as it is", string(new(Redactor).Cut([]byte("as it is, whatever"), 8, false)))
	assert.Equal(t, "as it is", string(NewRedactor("short").Cut([]byte("as it is, whatever"), 8, false)))
}

// Somebody who can have a text of his choice cut where he likes must not find a value by its beginnings.
func TestACutDoesNotTellABeginningOfAValueFromAnotherText(t *testing.T) {
	t.Parallel()
	const value = "sk_live/0123456789abcdef"
	for _, r := range []*Redactor{NewRedactor(value, "https://hooks.example/a/path/that/is/long"), Join(NewRedactor("another value"), NewRedactor(value))} {
		for name, encode := range encodings {
			right, wrong := encode(value), encode("?"+value[1:])
			for k := 1; k < len(right); k++ {
				// The next byte of a guess is right or not: what is shown has to be the same.
				shown := func(guess string) string {
					return string(r.Cut([]byte(strings.Repeat("answer ", 60)+guess), 1<<20, false))
				}
				require.Equal(t, shown(right[:k]), shown(right[:k-1]+"!"), "%s of %q", name, right[:k])
				require.Equal(t, shown(right[:k]), shown(wrong[:min(k, len(wrong))]+strings.Repeat("!", max(k-len(wrong), 0))), "%s of %q", name, right[:k])
			}
		}
	}
}

func TestAJoinedRedactorKnowsWhatAllKnow(t *testing.T) {
	t.Parallel()
	r := Join(NewRedactor("first-value"), nil, new(Redactor), NewRedactor("value-second"))
	assert.Equal(t, "a "+Redacted+" b "+Redacted+" c "+Redacted, r.String("a first-value b value-second c first-value-second"))
	assert.Equal(t, Redacted, r.String(`first%2Dvalue\u002dsecond`))
	assert.Equal(t, "anything", Join().String("anything"))
}

// The work of a search depends on the length of the text only: not on how long values are, how many, or how they begin.
func TestSearchingIsLinearWhateverTheValues(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 25 {
		values = append(values, strings.Repeat("a", 2<<10-i)+fmt.Sprint("#", i))
	}
	a := newAutomaton(patternsOf(values))
	for _, unit := range []string{"a", "ab", strings.Repeat("a", 2000) + "b", strings.Repeat("a", 2<<10-9) + "#1", "%41", `\u0041`, "YWFhYWFh"} {
		text := strings.Repeat(unit, 64<<10/len(unit))
		node, steps := int32(0), 0
		for _, c := range []byte(text) {
			for at := node; ; at = a.fail[at] { // as next goes
				steps++
				if a.child(at, fold(c)) != 0 || at == 0 {
					break
				}
			}
			node = a.next(node, fold(c))
		}
		assert.LessOrEqual(t, steps, 2*len(text), "%.20q", unit)
	}
}

func TestS51_HookURLIsSecretInParts(t *testing.T) {
	t.Parallel()
	const hook = "https://hooks.example.com/services/T0123ABCD/B0456EFGH/abcdefghijklmnopqrstuvwx?sig=Zm9v%2FYmFyYmF6&v=1"
	r := NewRedactor(hook)
	for in, want := range map[string]string{
		hook: Redacted,
		"404 no service at /services/T0123ABCD/B0456EFGH/abcdefghijklmnopqrstuvwx": "404 no service at " + Redacted,
		"team T0123ABCD unknown":               "team " + Redacted + " unknown",
		"bad signature Zm9v/YmFyYmF6":          "bad signature " + Redacted,
		"bad signature Zm9v%2FYmFyYmF6":        "bad signature " + Redacted,
		"host hooks.example.com does not know": "host hooks.example.com does not know",
	} {
		assert.Equal(t, want, r.String(in))
	}
	assert.Nil(t, urlParts("not a url"))
	assert.Nil(t, urlParts("https://exa mple/long-segment"))
	assert.Contains(t, urlParts("http://user:pass-word@h/"), "pass-word")
}

func TestS50_SetFollowsRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		text := "first-value"
		v := Func("vault", func(context.Context) ([]byte, error) { return []byte(text), nil })
		s := NewSet(Literal("always-there"), Value{}, v)
		one, err := s.Redactor(t.Context())
		require.NoError(t, err)
		again, err := s.Redactor(t.Context())
		require.NoError(t, err)
		assert.Same(t, one, again, "made once while nothing changes")

		text = "second-value"
		<-time.After(time.Minute)
		two, err := s.Redactor(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Redacted+" "+Redacted+" "+Redacted, two.String("first-value second-value always-there"),
			"a request made just before the change holds the old value")
		text = "third-value"
		<-time.After(time.Minute)
		three, err := s.Redactor(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "first-value "+Redacted+" "+Redacted, three.String("first-value second-value third-value"))
	})
}

// A value that rotates between being revealed for a request and the first question for a redactor.
func TestS50_SetKnowsTheValueJustReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		text := "first-value"
		v := Func("vault", func(context.Context) ([]byte, error) { return []byte(text), nil })
		s := NewSet(v)
		assert.Equal(t, "first-value", reveal(t, v))
		text = "second-value"
		<-time.After(time.Minute)
		r, err := s.Redactor(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Redacted, r.String("first-value"))
	})
}

func TestS50_SetFailsWithoutAValue(t *testing.T) {
	t.Parallel()
	_, err := NewSet(Env("TOCSIN_TEST_ABSENT")).Redactor(t.Context())
	var e *SourceError
	require.ErrorAs(t, err, &e)
}

func TestRedactorDoesNotAllocateWithoutAMatch(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop entries")
	}
	r := NewRedactor(awkward, "sk_live_0123456789abcdef")
	for name, text := range map[string]string{"plain": sampleBody(1024), "escapes": sampleBody(1024) + `\n%20+`} {
		b := []byte(text)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = r.Bytes(b) }), name)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = r.String(text) }), name)
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("sk_live_0123456789", "a sk_live_0123456789 b", 3)
	f.Add(awkward, "%41\\u00e9\\ud83d\\udd11+", 9)
	f.Add("%41%41%41%41", "%2541", 0)
	f.Fuzz(func(t *testing.T, value, text string, cut int) {
		r := NewRedactor(value)
		_ = r.Cut([]byte(text), cut, cut%2 == 0) // no panic
		if len(value) < minLength {
			return
		}
		names := []string{"raw", "percent-encoded", "hex", "base64", "base64 URL", "query-escaped", "path-escaped", "HTML"}
		name := names[uint(cut)%uint(len(names))]
		whole := text + "," + encodings[name](value) + "," + text
		got := r.String(whole)
		if !strings.Contains(got, Redacted) {
			t.Fatalf("%s of %q in %q was not found: %q", name, value, whole, got)
		}
		if strings.Contains(strings.ReplaceAll(got, Redacted, "\x00"), value) {
			t.Fatalf("%q is left in %q", value, got)
		}
	})
}

func TestS50_WhatReceiversMakeOfAValue(t *testing.T) {
	t.Parallel()
	for value, shown := range map[string]string{
		"Bearer abcdefgh12":        "bad token abcdefgh12!",
		"GenieKey  abcdefgh12":     "bad key=abcdefgh12!",
		"abcd%2Befgh%2F12":         "no hook abcd+efgh/12!",
		"two words12 and password": "no words12 and password!",
	} {
		r := NewRedactor(value)
		assert.Contains(t, r.String(shown), Redacted+"!", value)
		assert.NotContains(t, r.String(shown), "12", value)
		assert.Equal(t, "a bearer key", r.String("a bearer key"), value)
	}
	assert.Equal(t, "horse battery", NewRedactor("correct, horse battery").String("horse battery"), "no scheme, no credential")
}

// A receiver that quotes what it was sent in JSON and sends that back in a form, for example.
func TestAValueIsFoundInAnyMixtureOfTwoEncodings(t *testing.T) {
	t.Parallel()
	// Values of the characters that mean something in one of the encodings, so that most of them hold escapes
	// themselves.
	pieces := []string{" ", "+", "%", "%2", "%41", "%25", `\`, `\n`, `\u0041`, `"`, "'", "&", "&amp;", "&#65;", ";", "<", "/", "=", "é", "\U0001F511", "a", "Z", "0", "7f", "-", "_", "word"}
	names := slices.Sorted(maps.Keys(encodings))
	random := rand.New(rand.NewPCG(1, 2))
	for range 800 {
		value := ""
		for len(value) < 12 || random.IntN(6) > 0 {
			value += pieces[random.IntN(len(pieces))]
		}
		first, second := names[random.IntN(len(names))], names[random.IntN(len(names))]
		if strings.HasPrefix(first, "UTF-16") && !opaque(second) {
			continue // it is no text, which is lost in escapes
		}
		if moreThanTwo(first) || moreThanTwo(second) || opaque(second) && !usual(first) {
			continue
		}
		inner := encodings[first](value)
		text := "before " + encodings[second](inner) + " after"
		got := NewRedactor(value).String(text)
		require.Contains(t, got, Redacted, "%q, %s, then %s: %q", value, first, second, text)
	}
}

// moreThanTwo tells whether an encoding is one of two or more itself.
func moreThanTwo(name string) bool {
	return strings.Contains(name, "twice") || strings.Contains(name, "3 times") || strings.Contains(name, " in ") || name == "base64 escaped"
}

// opaque tells whether nothing of a text can be seen in an encoding of it.
func opaque(name string) bool {
	return strings.HasPrefix(name, "base64") || strings.HasPrefix(name, "hex") || strings.HasPrefix(name, "UTF-16")
}

// usual tells whether an encoding is found under an opaque one.
func usual(name string) bool {
	return slices.Contains([]string{"raw", "query-escaped", "path-escaped", "JSON", "JSON without HTML", "HTML"}, name)
}

func TestAFormOfJSONIsSearchedAsBoth(t *testing.T) {
	t.Parallel()
	const value = `pa ss+wo"rd and+more`
	got := NewRedactor(value).String("body=" + url.QueryEscape(jsonText(value, true)) + "&x=1")
	assert.Equal(t, "body=%22"+Redacted+"%22&x=1", got)
}

// What the automaton finds is what a search for one pattern after the other finds.
func TestTheAutomatonFindsWhatANaiveSearchFinds(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	text := func(n int, alphabet string) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 2000 {
		var patterns []pattern
		for range 1 + random.IntN(6) {
			patterns = append(patterns, pattern{text: text(minLength+random.IntN(4), "ab ")})
		}
		searched := text(random.IntN(60), "ab+ ")
		for range random.IntN(4) {
			p := patterns[random.IntN(len(patterns))].text
			searched += text(random.IntN(5), "ab+xyz") + p + p[:random.IntN(len(p))]
		}
		var want []span
		for _, p := range patterns {
			for i := range searched {
				if strings.HasPrefix(strings.ReplaceAll(searched[i:], "+", " "), p.text) {
					want = append(want, span{i, i + len(p.text)})
				}
			}
		}
		got := find(newMatcher(slices.Clone(patterns), 0), searched, nil)
		require.Equal(t, join(want), join(got), "%q in %q", patterns, searched)
	}
}
