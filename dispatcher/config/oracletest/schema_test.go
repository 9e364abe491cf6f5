package oracletest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compiled is the schema that is checked in, judged by the meta-schema it names.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile("../schema.json")
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // nothing may be fetched
	require.NoError(t, c.AddResource("mem:///schema.json", document))
	s, err := c.Compile("mem:///schema.json")
	require.NoError(t, err)
	assert.Equal(t, 2020, s.DraftVersion)
	return s
}

// read reads a document as an editor does. ok is false when it is not even well-formed.
func read(t *testing.T, file string) (document any, ok bool) {
	t.Helper()
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	if filepath.Ext(file) != ".json" {
		var v any
		if yaml.Load(src, &v) != nil {
			return nil, false
		}
		if src, err = json.Marshal(v); err != nil {
			return nil, false
		}
	}
	document, err = jsonschema.UnmarshalJSON(bytes.NewReader(src))
	return document, err == nil
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestTheFiveDocumentsValidate(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, file := range append(files(t, "../testdata/styles/*"), files(t, "../testdata/shown/*")...) {
		document, ok := read(t, file)
		require.True(t, ok, file)
		assert.NoError(t, s.Validate(document), file)
	}
}

// The schema rejects every broken document but those whose mistake is in more than one field, in a language of its own,
// such as a template, or in what only the host knows.
func TestBrokenDocumentsAreRejectedAsFarAsASchemaCan(t *testing.T) {
	t.Parallel()
	onlyLoad := []string{
		// fields that depend on each other or on the host
		"breaker-and-fallback.yaml", "eleventh-header.yaml", "email-port-465.yaml", "fallback-to-a-broken-route.yaml", "masks.yaml", "name-used-twice.yaml",
		"network-and-limits.yaml", "no-url.yaml", "plan-beyond-its-age.yaml", "tenants.yaml", "nothing-stored.yaml", "password-in-clear.yaml", "path-beside-template.yaml", "rules.yaml", "slack.yaml", "unknown-channel.yaml",
		// what is in a text
		"ca-certificate.yaml", "email-problems-of-the-relay.yaml", "header-template.yaml", "headers.yaml",
		"http-and-port.yaml", "invalid-host.yaml", "name-reserved.yaml", "name-with-control-character.json",
		"readable-credential.yaml", "static-not-json.yaml", "template-not-handlebars.yaml", "template-not-json.yaml",
		"unknown-macro.yaml",
		// what a parser hides from a schema
		"custom-tag.yaml", "duplicate-key.json", "merge-key.yaml",
	}
	s := compiled(t)
	var accepted []string
	for _, file := range files(t, "../testdata/broken/*") {
		if document, ok := read(t, file); ok && s.Validate(document) == nil {
			accepted = append(accepted, filepath.Base(file))
		}
	}
	slices.Sort(onlyLoad)
	assert.Equal(t, onlyLoad, accepted)
}
