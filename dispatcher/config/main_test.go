package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trusted are the options of an operator's own documents.
func trusted() config.Options {
	return config.Options{References: map[string]config.Reference{"env": config.Env, "file": config.File}, Tenants: anyTenant()}
}

// anyTenant allows a document the events of all tenants.
func anyTenant() []string { return []string{dispatcher.AnyTenant} }

// load loads src, which is right.
func load(t *testing.T, file, src string, o config.Options) *config.Set {
	t.Helper()
	set, err := config.Load(file, []byte(src), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, set.Close()) })
	return set
}

// styles are the documents in the style of the five systems, by file name.
func styles(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/styles/*")
	require.NoError(t, err)
	require.Len(t, files, 5)
	all := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		all[filepath.Base(f)] = string(b)
	}
	return all
}

// quote writes text as JSON.
func quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}
