package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file under testdata.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run the tests with -update if this is meant")
}

// goWord is a name of a Go field, which mean nothing to who writes a document.
const goWord = `[a-z][A-Z]|[a-zA-Z]\.[A-Z]|\b(Secret|Template|Path|Mode|Bcc|Auth|Fallback|Limits)\b`

// A document that is wrong gives errors a person can act on: for every problem the file, line, column, field, what is
// wrong and what to do. They are in one golden file, to be read.
func TestBrokenDocumentsGiveErrorsToActOn(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 40)
	var all strings.Builder
	for _, f := range files {
		name := filepath.Base(f)
		src, err := os.ReadFile(f)
		require.NoError(t, err)
		set, err := config.Load(name, src, config.Options{Tenants: []string{"acme", "globex"}})
		require.Error(t, err, name)
		assert.Nil(t, set, name)
		all.WriteString("── " + name + "\n" + err.Error() + "\n\n")
		assert.NotContains(t, err.Error(), "not-a-real-secret", name)
		for _, e := range listed(err) {
			assert.NotEmpty(t, e.Problem, name)
			assert.NotEmpty(t, e.Remedy, "%s: %v", name, e)
			assert.NotEmpty(t, e.Code, "%s: %v", name, e)
			assert.Equal(t, name, e.File)
			mistake, ok := errors.AsType[*channel.ConfigError](e)
			require.True(t, ok)
			assert.Equal(t, e.Path, mistake.Path)
			assert.Empty(t, mistake.Package)
			assert.NotRegexp(t, goWord, strings.ReplaceAll(e.Problem+" "+e.Remedy, "CloudEvents", ""), "%s speaks of Go", name)
		}
	}
	golden(t, "testdata/broken.golden", []byte(all.String()))
}

// listed are the problems joined in err, each of which has to be an *Error.
func listed(err error) []*config.Error {
	var all []*config.Error
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		one, _ := errors.AsType[*config.Error](e)
		all = append(all, one)
	}
	return all
}
