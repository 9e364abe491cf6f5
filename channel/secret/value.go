// Package secret holds credentials that can be written and used but not read back: values that no formatting verb,
// encoder or logger shows, request headers and URL parts built on them, and a redactor that removes them from text
// which is stored or logged.
//
// Go strings cannot be wiped from memory, and this package does not claim to. A value lives as long as something refers
// to it; one that comes from [Env], [File] or [Func] leaves the cache when it has changed twice.
package secret

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is shown wherever a value would otherwise be.
const Redacted = "[redacted]"

// Value is one credential. The zero Value is "not set". Values are immutable, safe for concurrent use and comparable:
// two are equal when they are copies of the same one, not when they hold the same text.
//
// The text is held in a closure, so that it stays hidden even in an unexported field, where fmt calls no method.
type Value struct{ h *holder }

type holder struct {
	source string // shown in errors: "literal", "env NAME", "file PATH", "func NAME"
	kept   bool
	read   func(context.Context) (revealed, error)
	expire func() // nil = always read anew
}

// revealed is a value's text and the different one it had before, "" if none: the redactor needs both, since a request
// may have been made with the old one just before the change.
type revealed struct{ text, before string }

// Literal is a value given as text. Literal("") is the zero Value.
func Literal(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{&holder{source: "literal", read: func(context.Context) (revealed, error) { return revealed{text: text}, nil }}}
}

// Kept stands for "the value stored before": it is what a configuration that was shown and sent back contains. It has
// to be replaced with the stored one, for a mask by [URL.Update]; until then Reveal fails.
func Kept() Value {
	const source = "the stored configuration"
	return Value{&holder{source: source, kept: true, read: func(context.Context) (revealed, error) {
		return revealed{}, &SourceError{Source: source, Reason: "was not merged in; give the value again"}
	}}}
}

// IsZero reports whether no value was given.
func (v Value) IsZero() bool { return v.h == nil }

// IsKept reports whether v is a [Kept] placeholder.
func (v Value) IsKept() bool { return v.h != nil && v.h.kept }

// Source says where the value comes from, for people: "literal", "env NAME", "file PATH" or "func NAME"; "" when not
// set.
func (v Value) Source() string {
	if v.h == nil {
		return ""
	}
	return v.h.source
}

// Reveal returns the text of v. Call it once per attempt and do not keep the result: values from [Env], [File] and
// [Func] change, and are read again at most 60 seconds after they were last read. The error is a *SourceError, worth a
// retry, or ctx's error.
func (v Value) Reveal(ctx context.Context) (string, error) {
	r, err := v.read(ctx)
	return r.text, err
}

// Expire makes the next Reveal ask the source again. A channel calls it when a receiver refuses the credential, because
// it may have been rotated since it was read. It does nothing to a literal.
func (v Value) Expire() {
	if v.h != nil && v.h.expire != nil {
		v.h.expire()
	}
}

func (v Value) read(ctx context.Context) (revealed, error) {
	if v.h == nil {
		return revealed{}, &SourceError{Source: "the configuration", Reason: "is not set"}
	}
	return v.h.read(ctx)
}

var (
	_ fmt.Formatter  = Value{}
	_ slog.LogValuer = Value{}
)

// String returns [Redacted], or "" when v is not set.
func (v Value) String() string {
	if v.h == nil {
		return ""
	}
	return Redacted
}

// Format writes String for every verb and flag, so that %d, %x and %#v show no more than %v.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue returns String.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText returns String. It is what JSON, XML and YAML encoders write.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalBinary returns String. It is what gob encoders write.
func (v Value) MarshalBinary() ([]byte, error) { return v.MarshalText() }

// UnmarshalText reads a literal. "" is the zero Value, and [Redacted] is [Kept], because that is what a configuration
// that was shown and sent back holds. References to the environment or to files are not read here on purpose: whoever
// writes a configuration must not be able to read the files of the host.
func (v *Value) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		*v = Kept()
		return nil
	}
	*v = Literal(string(text))
	return nil
}

// UnmarshalBinary is UnmarshalText.
func (v *Value) UnmarshalBinary(data []byte) error { return v.UnmarshalText(data) }
