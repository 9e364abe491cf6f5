package template

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// tree decodes JSON into the normalised form.
func tree(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return v
}

func compile(t testing.TB, source string, o Options) *Template {
	t.Helper()
	tpl, err := Compile(source, o)
	require.NoError(t, err, "template %q", source)
	return tpl
}

func render(t testing.TB, source string, o Options, data any) string {
	t.Helper()
	out, err := compile(t, source, o).Render(context.Background(), nil, data)
	require.NoError(t, err, "template %q", source)
	return string(out)
}

// renderErr compiles a template that is accepted and returns the error of its render.
func renderErr(t testing.TB, source string, o Options, data any) error {
	t.Helper()
	prefix := []byte("kept")
	out, err := compile(t, source, o).Render(context.Background(), prefix, data)
	require.Error(t, err, "template %q gave %q", source, out)
	require.Equal(t, prefix, out, "a failed render returns dst as it was")
	return err
}

func syntaxError(t testing.TB, source string, o Options) *SyntaxError {
	t.Helper()
	_, err := Compile(source, o)
	var e *SyntaxError
	require.ErrorAs(t, err, &e, "template %q", source)
	return e
}

func jsonError(t testing.TB, source string) *JSONError {
	t.Helper()
	_, err := Compile(source, Options{})
	var e *JSONError
	require.ErrorAs(t, err, &e, "template %q", source)
	return e
}

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(b)
}

// accessRequest returns the access-request body and an example event.
func accessRequest(t testing.TB) (source string, data any) {
	return file(t, "access-request.hbs"), tree(t, file(t, "access-request.json"))
}
