package natsqueue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLaneNamesAreOneToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, token string }{
		{"audit", "audit"},
		{"", "="},
		{"a.b", "a=2Eb"},
		{"*", "=2A"},
		{">", "=3E"},
		{"two words", "two=20words"},
		{"=", "=3D"},
		{"ü", "=C3=BC"},
		{"tocsin.schedule", "tocsin=2Eschedule"},
		{"A-z_0", "A-z_0"},
	} {
		assert.Equal(t, c.token, token(c.name))
		back, err := untoken(c.token)
		require.NoError(t, err)
		assert.Equal(t, c.name, back)
	}
	for _, bad := range []string{"a.b", "a b", "=2e", "=", "=41", "=4", "==", "a=", "", "ü"} {
		if bad == "=" {
			continue // the empty name
		}
		_, err := untoken(bad)
		assert.Error(t, err, "%q is not written by token", bad)
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "a", "a.b", "=", "ü*>", "=2E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		written := token(s)
		if strings.ContainsAny(written, ".*> \t\r\n\x00") {
			t.Fatalf("token of %q is %q", s, written)
		}
		if back, err := untoken(written); err != nil || back != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
		if name, err := untoken(s); err == nil && token(name) != s {
			t.Fatalf("%q is a second token of %q", s, name)
		}
		_, _ = laneOf(s)
	})
}
