package oteldispatch_test

import (
	"go/build"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Hosts without telemetry inherit nothing of OpenTelemetry, and those with it choose the SDK.
func TestOnlyTheAPIIsDependedOn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"go.mod", "go.sum"} {
		core, err := os.ReadFile(filepath.Join("..", "..", name))
		require.NoError(t, err)
		assert.NotContains(t, string(core), "go.opentelemetry.io")
	}
	pkg, err := build.ImportDir(".", 0)
	require.NoError(t, err)
	require.NotEmpty(t, pkg.Imports)
	for _, path := range pkg.Imports {
		assert.NotContains(t, path, "go.opentelemetry.io/otel/sdk")
		assert.NotEqual(t, "go.opentelemetry.io/otel", path, "has the global providers")
	}
}

// TestNamesAreThoseOfTheDocumentation compares the tables in the package's documentation with what the golden files of
// the other tests have.
func TestNamesAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\b(messaging|tocsin|error)(\.[a-z_]+)+\b`)
	collect := func(text string) []string {
		found := name.FindAllString(text, -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	require.NoError(t, err)
	var exported strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		exported.Write(text)
	}
	seen := slices.DeleteFunc(collect(exported.String()), func(n string) bool { return n == "tocsin.schedule" }) // a lane
	assert.Equal(t, collect(string(doc)), seen)
}
