package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// FuzzLoad reads anything as either format: it gives errors with a place and a remedy, or a configuration that says the
// same after it was written and read again.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/styles/*", "testdata/broken/*"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			src, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(src, strings.HasSuffix(file, ".json"))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, isJSON bool) {
		file := "a.yaml"
		if isJSON {
			file = "a.json"
		}
		set, err := config.Load(file, src, config.Options{MaxSize: 1 << 14})
		if err != nil {
			for _, e := range listed(err) {
				require.NotNil(t, e, "%v", err)
				require.NotEmpty(t, e.Problem)
				require.NotEmpty(t, e.Remedy, "%v", e)
				require.Equal(t, file, e.File)
				lines := 1
				for _, end := range "\n\r\u0085\u2028\u2029" { // line breaks of YAML
					lines += strings.Count(string(src), string(end))
				}
				require.LessOrEqual(t, e.Line, lines+1, "%v", e)
			}
			return
		}
		everything := reveal(t, set.Document)
		kept, err := config.Load("c.json", []byte(everything), config.Options{})
		require.NoError(t, err, "%s", everything)
		assert.Equal(t, everything, reveal(t, kept.Document))
		require.NoError(t, kept.Close())
		require.NoError(t, set.Close())
		for name, written := range map[string][]byte{"b.json": set.Document.JSON(), "b.yaml": set.Document.YAML()} {
			again, err := config.Load(name, written, config.Options{Stored: set.Document})
			require.NoError(t, err, "%s", written)
			assert.Equal(t, everything, reveal(t, again.Document), "%s", written)
			require.NoError(t, again.Close())
		}
	})
}

// FuzzKeptSecrets edits a URL: a secret that is kept is kept for the same destination in the form in which it is
// dialled.
func FuzzKeptSecrets(f *testing.F) {
	for _, pair := range [][2]string{
		{"https://straße.example/a", "https://straẞe.example/a"}, {"https://i.example/", "https://İ.example/"}, {"https://a.example/x", "https://a.example/[redacted]"},
		{"https://a.example/x?y", "https://a.example:443/x?y"}, {"https://a.example/%2f", "https://a.example/%2F"}, {"https://a.example", "https://a.example/"},
		{"https://a.example/x", "https://a.example/[redacted]/../y"}, {"HTTPS://A.example/x", "https://a.example/X"},
	} {
		f.Add(pair[0], pair[1])
	}
	document := func(url, token string) []byte {
		return []byte(`{"channels": [{"type": "webhook", "name": "a", "url": ` + quote(url) + `, "auth": {"kind": "bearer", "token": "` + token + `"}}]}`)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		first, err := config.Load("a.json", document(before, "not-a-real-token"), config.Options{})
		if err != nil {
			return
		}
		next, err := config.Load("b.json", document(after, secret.Redacted), config.Options{Stored: first.Document})
		if err == nil {
			assert.Contains(t, reveal(t, next.Document), "not-a-real-token")
			var shown struct{ Channels []struct{ URL string } }
			require.NoError(t, json.Unmarshal(first.Document.JSON(), &shown))
			assert.True(t, after == shown.Channels[0].URL || netguard.SameDestination(before, after), "%q, then %q", before, after)
			require.NoError(t, next.Close())
		}
		require.NoError(t, first.Close())
	})
}
