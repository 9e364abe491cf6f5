package main

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheStory(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	printed := out.String()

	assert.Equal(t, []string{
		"2 signatures; receiver: trusted",
		"2 signatures; receiver: trusted",
		"1 signature; receiver: refused, signature: Webhook-Signature has no signature by one of the keys",
		"2 signatures; receiver: refused, signature: Webhook-Signature has no signature by one of the keys",
	}, regexp.MustCompile(`\d signatures?; .*`).FindAllString(printed, -1))
	assert.Equal(t, 2, strings.Count(printed, ": answered 401 Unauthorized\n"), "what the sender got")
	assert.Contains(t, printed, "/hooks/{team}?token={token}\n", "what a history shows")

	before, visited, found := strings.Cut(printed, "The receiver was called at ")
	require.True(t, found)
	called, _, _ := strings.Cut(visited, ";")
	u, err := url.Parse(called)
	require.NoError(t, err)
	assert.Equal(t, "/hooks/T0451-pam", u.Path)
	assert.Equal(t, "hQ8zL2vT", u.Query().Get("token"))
	for _, secret := range []string{"T0451-pam", "hQ8zL2vT", oldSecret, newSecret} {
		assert.NotContains(t, before, secret)
	}
}
