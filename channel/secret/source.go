package secret

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxAge  = 60 * time.Second
	maxSize = 64 << 10
)

// SourceError says that a value could not be read. It names the source and the reason; it never holds the value nor the
// text of the error met, which might. A later attempt may succeed.
type SourceError struct {
	Source string // as [Value.Source]
	Reason string
}

func (e *SourceError) Error() string { return "secret from " + e.Source + " " + e.Reason }

// Env is the value of an environment variable, without what editors and shells leave around text: a byte order mark,
// and one newline at the end. An unset or empty variable is an error when the value is needed.
func Env(name string) Value {
	source := "env " + name
	return cached(source, func(context.Context) (string, error) {
		text, ok := os.LookupEnv(name)
		if !ok {
			return "", &SourceError{source, "is not set"}
		}
		return trimmed(source, text)
	})
}

// File is the content of a regular file of at most 64 KiB, trimmed like that of [Env].
func File(path string) Value {
	source := "file " + path
	return cached(source, func(context.Context) (string, error) {
		text, err := readFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", &SourceError{source, "does not exist"}
		case errors.Is(err, fs.ErrPermission):
			return "", &SourceError{source, "may not be read by this process"}
		case errors.Is(err, errNotRegular), errors.Is(err, errTooLarge):
			return "", &SourceError{source, err.Error()}
		case err != nil:
			return "", &SourceError{source, "could not be read"}
		}
		return trimmed(source, text)
	})
}

const byteOrderMark = "\ufeff"

// trimmed removes what is no part of a secret although it stands in the same file or variable.
func trimmed(source, text string) (string, error) {
	if (strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff")) && strings.Contains(text, "\x00") {
		return "", &SourceError{source, "is text in UTF-16; save it as UTF-8"}
	}
	text = strings.TrimPrefix(text, byteOrderMark)
	text = strings.TrimSuffix(text, "\n")
	text = strings.TrimSuffix(text, "\r")
	return strings.TrimSuffix(text, byteOrderMark), nil
}

// Func is a value fetched by f, for example from a vault; name is shown in errors. f is called by one goroutine at a
// time and should honour ctx; its result is copied, so f may wipe the slice afterwards. An error or a panic of f is
// reported without its text, which might hold the value.
func Func(name string, f func(context.Context) ([]byte, error)) Value {
	source := "func " + name
	return cached(source, func(ctx context.Context) (text string, err error) {
		defer func() {
			if recover() != nil {
				text, err = "", &SourceError{source, "panicked"}
			}
		}()
		b, err := f(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", &SourceError{source, "failed"}
		}
		return string(b), nil
	})
}

// cached makes a value that is read at most every maxAge. A failure is not cached, and the value before it is not used
// again: after a rotation the old credential would only be refused.
func cached(source string, read func(context.Context) (string, error)) Value {
	type entry struct {
		revealed
		until time.Time
	}
	var current atomic.Pointer[entry]
	turn := make(chan struct{}, 1) // not a mutex: a waiter must be able to leave when its ctx ends
	get := func(ctx context.Context) (revealed, error) {
		if e := current.Load(); e != nil && time.Now().Before(e.until) {
			return e.revealed, nil
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return revealed{}, ctx.Err()
		}
		old := current.Load()
		if old == nil {
			old = &entry{}
		}
		if time.Now().Before(old.until) {
			return old.revealed, nil
		}
		text, err := read(ctx)
		if err == nil && text == "" {
			err = &SourceError{source, "is empty"}
		}
		if err != nil {
			return revealed{}, err
		}
		next := &entry{revealed{text, old.text}, time.Now().Add(maxAge)}
		if text == old.text {
			next.before = old.before
		}
		current.Store(next)
		return next.revealed, nil
	}
	expire := func() {
		if e := current.Load(); e != nil {
			current.CompareAndSwap(e, &entry{revealed: e.revealed})
		}
	}
	return Value{&holder{source: source, read: get, expire: expire}}
}

var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is larger than 64 KiB")
)

func readFile(path string) (string, error) {
	// Before opening: opening a FIFO blocks until somebody writes to it.
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(b) > maxSize {
		err = errTooLarge
	}
	return string(b), err
}
