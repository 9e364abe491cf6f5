package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// environment sets what the five documents refer to.
func environment(t *testing.T) {
	t.Helper()
	t.Setenv("ITSM_HOOK", "not-a-real-hook")
	t.Setenv("SMTP_PASSWORD", "not-a-real-password")
}

// reveal is all that a document says, its secrets included.
func reveal(t *testing.T, d *config.Document) string {
	t.Helper()
	b, err := d.Reveal(t.Context())
	require.NoError(t, err)
	return string(b)
}

// literals are the secrets that stand in the five documents.
func literals() []string {
	return []string{
		"acme-hook-credential", "globex-token-credential", "SG.not-a-real-key", "not-a-real-tenant", "not-a-real-key", "not-a-real-password",
		"not-a-real-signature", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE",
	}
}

// Reading, writing and reading again gives the same configuration, in both formats and from one to the other, secrets
// included; and what is written has no secret in it.
func TestTheFiveDocumentsRoundTrip(t *testing.T) {
	environment(t)
	for name, src := range styles(t) {
		first := load(t, name, src, trusted())
		everything := reveal(t, first.Document)
		for format, written := range map[string][]byte{"json": first.Document.JSON(), "yaml": first.Document.YAML()} {
			for _, secret := range literals() {
				assert.NotContains(t, string(written), secret, "%s as %s", name, format)
			}
			o := trusted()
			o.Stored = first.Document
			second := load(t, "written."+format, string(written), o)
			assert.Equal(t, everything, reveal(t, second.Document), "%s as %s", name, format)
			assert.Equal(t, string(first.Document.YAML()), string(second.Document.YAML()), "%s as %s", name, format)
			assert.Equal(t, string(first.Document.JSON()), string(second.Document.JSON()), "%s as %s", name, format)
			assert.Equal(t, outline(first), outline(second), "%s as %s", name, format)
		}
		stored := load(t, "stored.json", everything, trusted()) // without a stored one
		assert.Equal(t, everything, reveal(t, stored.Document), name)
	}
}

// outline is what can be compared of the routes.
func outline(s *config.Set) []string {
	var all []string
	for _, r := range s.Routes {
		all = append(all, fmt.Sprintf("%q %q %v %+v %v %v %v %+v %+v %+v %v %v %+v %v %+v", r.Name, r.Tenant, r.Events, r.Retry, r.Timeout, r.Concurrency,
			r.Order, r.Dedup, r.Rate, r.Backlog, r.MaxAge, r.State, r.Protect, r.Channel, s.Alerts[r.ID()]))
	}
	return all
}

// What the five documents are written back as is golden: this is what a form in a user interface works with.
func TestTheFiveDocumentsAreShownWithoutSecrets(t *testing.T) {
	environment(t)
	for name, src := range styles(t) {
		set := load(t, name, src, trusted())
		base, _, _ := strings.Cut(name, ".")
		golden(t, "testdata/shown/"+base+".yaml", set.Document.YAML())
		golden(t, "testdata/shown/"+base+".json", set.Document.JSON())
	}
}

// Nothing that is printed shows a secret.
func TestPrintingShowsNoSecret(t *testing.T) {
	environment(t)
	for name, src := range styles(t) {
		set := load(t, name, src, trusted())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			for _, thing := range []any{set, set.Document} {
				text := fmt.Sprintf(verb, thing)
				for _, secret := range literals() {
					assert.NotContains(t, text, secret)
				}
			}
		}
	}
}

// Text survives both formats whatever it looks like in YAML or JSON.
func TestTextSurvivesWriting(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"yes", "no", "null", "~", "1", "1e3", "0x1f", "2026-01-01", "- a", "a: b", "a #b", "&a", "*a", "!a", "%a", "@a", "`a", "{a}", "[a]", "'", `"`, `\`,
		" a ", "a\nb", "a\n", "\na", "a\n\n", "a\tb", "\ta", "  a\n b\n", "é", "日本", "a\u2028b", "a\u00a0b", "<a&b>", "true", ".inf", "=", "<<", "|", ">", "?", ": ",
	} {
		src := fmt.Sprintf(`{"channels": [{"type": "webhook", "name": "hook", "url": "https://example.com", "content_type": "text/plain", "body": {"kind": "static", "text": %s}}]}`, quote(text))
		first := load(t, "a.json", src, config.Options{})
		second := load(t, "b.yaml", string(first.Document.YAML()), config.Options{})
		third := load(t, "c.json", string(second.Document.JSON()), config.Options{})
		assert.Equal(t, reveal(t, first.Document), reveal(t, second.Document), "%q", text)
		assert.Equal(t, reveal(t, first.Document), reveal(t, third.Document), "%q", text)
	}
}

// The document in the package's documentation is one.
func TestTheDocumentOfTheDocumentationLoads(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(src), "//\tversion: 1\n")
	require.True(t, found)
	document, _, _ := strings.Cut(rest, "//\n")
	set := load(t, "doc.yaml", strings.ReplaceAll(document, "//\t", ""), trusted())
	assert.Len(t, set.Routes, 2)
	assert.Len(t, set.Alerts, 1)
}

func TestChangedFields(t *testing.T) {
	t.Parallel()
	load := func(token, name string, stored *config.Document) *config.Document {
		set, err := config.Load("a.json", []byte(`{"channels": [{"type": "webhook", "name": "a", "url": "https://example.com",
			"auth": {"kind": "bearer", "token": "`+token+`"}}], "routes": [{"name": "`+name+`", "channel": "a"}]}`), config.Options{Stored: stored})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, set.Close()) })
		return set.Document
	}
	before := load("not-a-real-token", "r", nil)
	assert.Empty(t, before.Changed(before))
	assert.Empty(t, load("[redacted]", "r", before).Changed(before))
	assert.Equal(t, []string{"channels[0].auth.token"}, load("not-a-real-token", "r", before).Changed(before))
	assert.Equal(t, []string{"routes[0].name"}, load("[redacted]", "s", before).Changed(before))
	assert.Contains(t, before.Changed(new(config.Document)), "channels[0].name")
	assert.Empty(t, new(config.Document).Changed(before))
}
