package netguard

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

func TestDestinationIsWhatIsDialledAndSent(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://hooks.example":                "https://hooks.example:443/",
		"HTTPS://Hooks.EXAMPLE/":               "https://hooks.example:443/",
		"https://hooks.example:443/a?b=c":      "https://hooks.example:443/a?b=c",
		"http://hooks.example":                 "http://hooks.example:80/",
		"http://hooks.example:443":             "http://hooks.example:443/",
		"https://hooks.example:8443/":          "https://hooks.example:8443/",
		"https://bücher.example/é?q=é":         "https://xn--bcher-kva.example:443/%C3%A9?q=%C3%A9",
		"https://straße.example/":              "https://xn--strae-oqa.example:443/",
		"https://straẞe.example/":              "https://strasse.example:443/",
		"https://[2001:DB8:0::1]/":             "https://[2001:db8::1]:443/",
		"https://hooks.example?":               "https://hooks.example:443/?",
		"https://hooks.example/{hook}/%2f%2F":  "https://hooks.example:443/%7Bhook%7D/%2f%2F",
		"https://hooks.example//evil.example/": "https://hooks.example:443//evil.example/",
	} {
		got, err := destination(raw)
		require.NoError(t, err, raw)
		assert.Equal(t, want, got, raw)
	}
	_, err := destination("https://user:secret@hooks.example/")
	var wrong *channel.ConfigError
	require.ErrorAs(t, err, &wrong)
	assert.NotContains(t, err.Error(), "secret")
}

func TestSameDestination(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://hooks.example", "HTTPS://HOOKS.example:443/", true},
		{"http://hooks.example:80/a", "http://hooks.example/a", true},
		{"https://bücher.example/", "https://xn--BCHER-kva.example/", true},
		{"https://ｅｘａｍｐｌｅ.com/", "https://example.com", true},
		{"not a url", "not a url", true},
		{"", "", true},
		// Equal by case folding, and two hosts to DNS.
		{"https://straße.example/", "https://straẞe.example/", false},
		{"https://İstanbul.example/", "https://istanbul.example/", false},
		{"https://hooks.example/a", "https://hooks.example/A", false},
		{"https://hooks.example/a", "https://hooks.example/b", false},
		{"https://hooks.example/a", "https://hooks.example/a/", false},
		{"https://hooks.example/a?b", "https://hooks.example/a?c", false},
		{"https://hooks.example/a?", "https://hooks.example/a", false},
		{"https://hooks.example", "http://hooks.example", false},
		{"https://hooks.example", "https://hooks.example:8443", false},
		{"https://hooks.example", "https://hooks.example.", false},
		{"https://hooks.example", "", false},
		{"not a url", "another", false},
	} {
		assert.Equal(t, c.same, SameDestination(c.a, c.b), "%s and %s", c.a, c.b)
		assert.Equal(t, c.same, SameDestination(c.b, c.a), "%s and %s", c.b, c.a)
	}
}

// FuzzDestinationsAreComparedAsDialled checks that equal destinations are dialled and requested alike, and others are
// not.
func FuzzDestinationsAreComparedAsDialled(f *testing.F) {
	f.Add("https://straße.example/", "https://straẞe.example/")
	f.Add("https://İ.example/", "https://i.example/")
	f.Add("https://a.example:443", "HTTPS://A.example/")
	f.Add("https://a.example/%2f?", "https://a.example/%2F?")
	f.Fuzz(func(t *testing.T, a, b string) {
		called := func(raw string) (dialled, requested string, ok bool) {
			u, err := ParseURL("url", raw, Limits{AllowInsecureHTTP: true})
			if err != nil {
				return "", "", false
			}
			return u.Scheme + " " + address(u), u.RequestURI(), true
		}
		dialledA, requestedA, okA := called(a)
		dialledB, requestedB, okB := called(b)
		want := a == b || okA && okB && dialledA == dialledB && requestedA == requestedB
		if got := SameDestination(a, b); got != want {
			t.Fatalf("%q and %q: %t", a, b, got)
		}
		if d, err := destination(a); okA {
			if err != nil || !SameDestination(a, d) {
				t.Fatalf("%q: %q, %v: the canonical form is another destination", a, d, err)
			}
			if _, err := url.Parse(d); err != nil {
				t.Fatalf("%q: %v", d, err)
			}
		}
	})
}
