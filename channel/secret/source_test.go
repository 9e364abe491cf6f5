package secret

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func reveal(t *testing.T, v Value) string {
	t.Helper()
	text, err := v.Reveal(t.Context())
	require.NoError(t, err)
	return text
}

func requireSourceError(t *testing.T, v Value, source, reason string) {
	t.Helper()
	text, err := v.Reveal(t.Context())
	var e *SourceError
	require.ErrorAs(t, err, &e)
	assert.Empty(t, text)
	assert.Equal(t, source, e.Source)
	assert.Equal(t, reason, e.Reason)
	assert.Equal(t, "secret from "+source+" "+reason, err.Error())
	assert.NoError(t, errors.Unwrap(err), "the cause may hold the value")
}

func TestS48_Literal(t *testing.T) {
	t.Parallel()
	assert.Equal(t, planted, reveal(t, Literal(planted)))
	assert.Equal(t, "literal", Literal("x").Source())
	assert.True(t, Literal("").IsZero())
	assert.Empty(t, Value{}.Source())
	requireSourceError(t, Value{}, "the configuration", "is not set")
	v := Literal("x")
	same := v
	assert.True(t, v == same)                                                                      //nolint:testifylint // == is what is tested
	assert.False(t, v == Literal("x"), "identity, not text: comparing must not be a way to guess") //nolint:testifylint // likewise
}

func TestS48_Env(t *testing.T) {
	v := Env("TOCSIN_TEST_SECRET")
	requireSourceError(t, v, "env TOCSIN_TEST_SECRET", "is not set")
	t.Setenv("TOCSIN_TEST_SECRET", "")
	requireSourceError(t, v, "env TOCSIN_TEST_SECRET", "is empty")
	t.Setenv("TOCSIN_TEST_SECRET", planted)
	assert.Equal(t, planted, reveal(t, v), "a failure is not cached")
}

func TestS48_WhatStandsAroundASecretIsNoPartOfIt(t *testing.T) {
	for text, want := range map[string]string{
		"value\n": "value", "value\r\n": "value", "\ufeffvalue": "value", "\ufeffvalue\r\n": "value", "value\ufeff": "value",
		"val\nue": "val\nue", " value ": " value ", "val\ufeffue": "val\ufeffue", "\xff\xfea": "\xff\xfea",
	} {
		t.Setenv("TOCSIN_TEST_SECRET", text)
		assert.Equal(t, want, reveal(t, Env("TOCSIN_TEST_SECRET")), "%q", text)
		path := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		assert.Equal(t, want, reveal(t, File(path)), "%q", text)
	}
	for _, text := range []string{"\xff\xfev\x00a\x00", "\xfe\xff\x00v\x00a"} {
		path := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		requireSourceError(t, File(path), "file "+path, "is text in UTF-16; save it as UTF-8")
	}
	for _, text := range []string{"\n", "\ufeff", "\ufeff\n"} {
		t.Setenv("TOCSIN_TEST_SECRET", text)
		requireSourceError(t, Env("TOCSIN_TEST_SECRET"), "env TOCSIN_TEST_SECRET", "is empty")
	}
}

func TestS48_File(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for content, want := range map[string]string{
		"plain": "plain", "one newline\n": "one newline", "two\n\n": "two\n", "windows\r\n": "windows", " spaces ": " spaces ",
		strings.Repeat("x", 64<<10): strings.Repeat("x", 64<<10),
	} {
		path := filepath.Join(dir, "secret")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		assert.Equal(t, want, reveal(t, File(path)))
	}
	path := filepath.Join(dir, "large")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 64<<10+1), 0o600))
	requireSourceError(t, File(path), "file "+path, "is larger than 64 KiB")
	path = filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	requireSourceError(t, File(path), "file "+path, "is empty")
	requireSourceError(t, File(dir), "file "+dir, "is not a regular file")
	path = filepath.Join(dir, "absent")
	requireSourceError(t, File(path), "file "+path, "does not exist")
}

func TestS48_FuncHidesErrorsAndPanics(t *testing.T) {
	t.Parallel()
	requireSourceError(t, Func("vault", func(context.Context) ([]byte, error) { return nil, errors.New(planted) }), "func vault", "failed")
	requireSourceError(t, Func("vault", func(context.Context) ([]byte, error) { panic(planted) }), "func vault", "panicked")
	requireSourceError(t, Func("vault", nil), "func vault", "panicked")
	requireSourceError(t, Func("vault", func(context.Context) ([]byte, error) { return nil, nil }), "func vault", "is empty")

	buffer := []byte(planted)
	v := Func("vault", func(context.Context) ([]byte, error) { return buffer, nil })
	assert.Equal(t, planted, reveal(t, v))
	clear(buffer)
	assert.Equal(t, planted, reveal(t, v), "the slice may be wiped")
}

func TestS48_CachedForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, fail := 0, false
		v := Func("vault", func(context.Context) ([]byte, error) {
			calls++
			if fail {
				return nil, errors.New("down")
			}
			return []byte{'v', byte('0' + calls)}, nil
		})
		assert.Equal(t, "v1", reveal(t, v))
		<-time.After(60*time.Second - 1)
		assert.Equal(t, "v1", reveal(t, v))
		<-time.After(1)
		assert.Equal(t, "v2", reveal(t, v))
		<-time.After(60 * time.Second)
		fail = true
		requireSourceError(t, v, "func vault", "failed")
		requireSourceError(t, v, "func vault", "failed")
		assert.Equal(t, 4, calls, "a failure is tried again at once, and the old value is not used")
		fail = false
		assert.Equal(t, "v5", reveal(t, v))
	})
}

func TestS48_WaiterLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	v := Func("vault", func(context.Context) ([]byte, error) {
		calls.Add(1)
		close(entered)
		<-leave
		return []byte(planted), nil
	})
	var first sync.WaitGroup
	first.Go(func() { assert.Equal(t, planted, reveal(t, v)) })
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Reveal(ctx)
	require.ErrorIs(t, err, context.Canceled)
	for range 8 {
		first.Go(func() { assert.Equal(t, planted, reveal(t, v)) })
	}
	close(leave)
	first.Wait()
	assert.EqualValues(t, 1, calls.Load(), "one call serves all that wait")
}

func TestS48_FuncReportsItsCallersContext(t *testing.T) {
	t.Parallel()
	v := Func("vault", func(ctx context.Context) ([]byte, error) {
		<-ctx.Done()
		return nil, errors.New(planted)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := v.Reveal(ctx)
	require.Equal(t, context.DeadlineExceeded, err)
}
