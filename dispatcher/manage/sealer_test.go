package manage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
)

func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, manage.KeySize) }

func newKeys(tb testing.TB, current string, keys map[string][]byte) *manage.Keys {
	tb.Helper()
	k, err := manage.NewKeys(current, keys)
	require.NoError(tb, err)
	return k
}

func TestSealedConforms(t *testing.T) {
	t.Parallel()
	k := newKeys(t, "2026-11", map[string][]byte{"2026-11": key(1)})
	var below sync.Map
	managetest.Run(t, managetest.Suite{
		New: func(t *testing.T) manage.Documents {
			m := newMemory(t)
			d := manage.Sealed(m, k)
			below.Store(d, m)
			return d
		},
		Close: func(d manage.Documents) error {
			m, _ := below.Load(d)
			return m.(*manage.Memory).Close()
		},
		MaxSize: manage.MaxContent - k.Overhead(),
	})
}

func TestSealsWithTheCurrentKeyAndOpensWithAll(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemory(t)
	oldKeys := newKeys(t, "old", map[string][]byte{"old": key(1)})
	both := newKeys(t, "new", map[string][]byte{"old": key(1), "new": key(2)})
	newOnly := newKeys(t, "new", map[string][]byte{"new": key(2)})
	content := []byte("channels: [secret]")
	r, err := manage.Sealed(m, oldKeys).Put(ctx, "a", manage.Record{Content: content}, 0)
	require.NoError(t, err)

	raw, err := m.Get(ctx, "a")
	require.NoError(t, err)
	assert.NotContains(t, string(raw.Content), "secret")
	assert.Contains(t, string(raw.Content), "old", "the id of the key is in front")
	got, err := manage.Sealed(m, both).Get(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, manage.Record{Revision: r, Content: content}, got)
	_, err = manage.Sealed(m, newOnly).Get(ctx, "a")
	unknown, ok := errors.AsType[*manage.KeyError](err)
	require.True(t, ok, err)
	assert.Equal(t, "old", unknown.ID)
	sealErr, ok := errors.AsType[*manage.SealError](err)
	require.True(t, ok)
	assert.Equal(t, "a", sealErr.Tenant)

	n, err := manage.Reseal(ctx, m, both)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	got, err = manage.Sealed(m, newOnly).Get(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, content, got.Content)
	assert.Greater(t, got.Revision, r, "whoever follows reads it again")
	n, err = manage.Reseal(ctx, m, both)
	require.NoError(t, err)
	assert.Zero(t, n, "nothing is stale")
}

func TestWhatWasSealedForAnotherTenantDoesNotOpen(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemory(t)
	d := manage.Sealed(m, newKeys(t, "k", map[string][]byte{"k": key(1)}))
	_, err := d.Put(ctx, "a", manage.Record{Content: []byte("of a")}, 0)
	require.NoError(t, err)
	raw, err := m.Get(ctx, "a")
	require.NoError(t, err)
	for _, tenant := range []string{"b", "A", "aa", "\x00a"} {
		_, err = m.Put(ctx, tenant, raw, 0)
		require.NoError(t, err)
		_, err = d.Get(ctx, tenant)
		assert.ErrorIs(t, err, manage.ErrAltered)
	}
}

func TestReseal(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemory(t)
	oldKeys := newKeys(t, "old", map[string][]byte{"old": key(1)})
	both := newKeys(t, "new", map[string][]byte{"old": key(1), "new": key(2)})
	const tenants = 450 // some pages
	for i := range tenants {
		_, err := manage.Sealed(m, oldKeys).Put(ctx, fmt.Sprintf("t%03d", i), manage.Record{Content: []byte(fmt.Sprint("content ", i))}, 0)
		require.NoError(t, err)
	}
	const plain = "url: https://plain.example/secret"
	_, err := m.Put(ctx, "s-plain", manage.Record{Content: []byte(plain)}, 0)
	require.NoError(t, err)
	_, err = manage.Sealed(m, newKeys(t, "lost", map[string][]byte{"lost": key(9)})).Put(ctx, "s-lost", manage.Record{}, 0)
	require.NoError(t, err)
	edits := &editing{Documents: m, sealer: both}

	n, err := manage.Reseal(ctx, edits, both)
	assert.Equal(t, tenants-1, n, "all but the one that was edited meanwhile, and sealed by that")
	require.ErrorIs(t, err, manage.ErrNotSealed)
	_, ok := errors.AsType[*manage.KeyError](err)
	assert.True(t, ok)
	assert.NotContains(t, err.Error(), "plain.example")
	assert.Contains(t, err.Error(), `"s-plain"`)
	assert.Contains(t, err.Error(), `"s-lost"`)

	d := manage.Sealed(m, newKeys(t, "new", map[string][]byte{"new": key(2)}))
	for i := range tenants {
		r, err := d.Get(ctx, fmt.Sprintf("t%03d", i))
		require.NoError(t, err)
		want := fmt.Sprint("content ", i)
		if i == 7 {
			want = "edited"
		}
		assert.Equal(t, want, string(r.Content))
	}
	heads, err := d.List(ctx, "", 1000)
	require.NoError(t, err)
	assert.Len(t, heads, tenants+2, "what does not open does not fail the list")
	plainRecord, err := m.Get(ctx, "s-plain")
	require.NoError(t, err)
	assert.Equal(t, plain, string(plainRecord.Content), "left as it is")
}

// editing edits one document between a Get and the Put that follows.
type editing struct {
	manage.Documents
	sealer manage.Sealer
	done   bool
}

func (e *editing) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if tenant == "t007" && !e.done {
		e.done = true
		if _, err := manage.Sealed(e.Documents, e.sealer).Put(ctx, tenant, manage.Record{Content: []byte("edited")}, expect); err != nil {
			return 0, err
		}
	}
	return e.Documents.Put(ctx, tenant, r, expect)
}

func TestNewKeysChecks(t *testing.T) {
	t.Parallel()
	_, err := manage.NewKeys("x", map[string][]byte{"short": key(1)[1:], "bad id": key(1), "": key(2), strings.Repeat("a", 65): nil})
	require.Error(t, err)
	for _, want := range []string{`"x"`, `"short" has 31 bytes`, `"bad id"`, `""`} {
		assert.Contains(t, err.Error(), want)
	}
}

func TestKeysShowNoKey(t *testing.T) {
	t.Parallel()
	k := newKeys(t, "k", map[string][]byte{"k": []byte("0123456789abcdef0123456789abcdef")})
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("keys", "keys", k)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), fmt.Sprintf("%x", k), fmt.Sprintf("%d", k), log.String()} {
		assert.Contains(t, text, `current`)
		assert.NotContains(t, text, "0123456789abcdef")
		assert.NotContains(t, text, "48 49 50")
		assert.Less(t, len(text), 200)
	}
}

// FuzzSealed: what was sealed opens again, and with any byte altered, cut off or added it does not.
func FuzzSealed(f *testing.F) {
	f.Add("tenant", []byte("content"), uint(0), byte(1))
	f.Add("", []byte{}, uint(20), byte(0x80))
	f.Add("\x00", bytes.Repeat([]byte{0}, 100), uint(17), byte(0xff))
	k := newKeys(f, "key-1", map[string][]byte{"key-1": key(1), "key-2": key(1), "key-0": key(3)})
	f.Fuzz(func(t *testing.T, tenant string, content []byte, place uint, by byte) {
		ctx := t.Context()
		sealed, err := k.Seal(ctx, tenant, content)
		require.NoError(t, err)
		require.Len(t, sealed, len(content)+k.Overhead())
		got, err := k.Open(ctx, tenant, sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
		closed := func(what, tenant string, sealed []byte) {
			got, err := k.Open(ctx, tenant, sealed)
			_, unknown := errors.AsType[*manage.KeyError](err)
			if err == nil || got != nil || !unknown && !errors.Is(err, manage.ErrAltered) && !errors.Is(err, manage.ErrNotSealed) {
				t.Fatalf("%s: opened, or another error: %v", what, err)
			}
		}
		at := int(place % uint(len(sealed)))
		if by != 0 {
			altered := bytes.Clone(sealed)
			altered[at] ^= by
			closed("altered", tenant, altered)
		}
		closed("cut", tenant, sealed[:at])
		closed("longer", tenant, append(bytes.Clone(sealed), by))
		closed("another tenant", tenant+string(rune(by)), sealed)
		closed("no sealed document", tenant, content)
	})
}
