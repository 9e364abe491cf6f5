package manage_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// What is stored holds no secret in a readable form; with another key it cannot be read, and is left as it is.
func TestSealedDocuments(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	o := options(t, store)
	o.Plaintext = false
	keys := func(id string, b byte) *manage.Keys {
		k, err := manage.NewKeys(id, map[string][]byte{id: bytes.Repeat([]byte{b}, manage.KeySize)})
		require.NoError(t, err)
		return k
	}
	o.Sealer = keys("one", 1)
	first := start(t, o)
	create(t, first, priya, webhook("a", r.url+"/secret-path", ""))
	first.shutdown(t)
	stored, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	assert.NotContains(t, string(stored.Content), "secret-path")

	o.Sealer = keys("two", 2)
	second := start(t, o)
	_, _, err = second.Create(t.Context(), priya, webhook("b", r.url, ""))
	failure(t, err, manage.CodeUnreadable)
	held := dispatch(t, second, "acme")
	tenants, err := second.Tenants(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, tenants, 1)
	assert.NotEmpty(t, tenants[0].Problem)
	after, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, stored, after)
	assert.NotEmpty(t, held.ID())
	second.shutdown(t)

	o.Sealer = keys("one", 1)
	third := start(t, o)
	dispatch(t, third, "acme")
	assert.Equal(t, "/secret-path", r.next(t).path)
}
