package manage

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
)

// Code is a kind of failure of a Service, for programs. Codes are stable.
type Code string

// The codes.
const (
	CodeNotFound    Code = "not_found"   // the tenant has no channel, entry or dead letter of that name
	CodeExists      Code = "exists"      // a channel or route of that name is there, with other content
	CodeState       Code = "state"       // not in the state that it is in
	CodeStale       Code = "stale"       // the channel was changed since it was read
	CodeFields      Code = "fields"      // Fields say what is wrong
	CodeTooLarge    Code = "too_large"   // more than the limit
	CodeRate        Code = "rate"        // too often, or too many at once
	CodeUnavailable Code = "unavailable" // the store or the queue does not answer
	CodeUnreadable  Code = "unreadable"  // the stored configuration cannot be read: it is not changed
	CodeUnsupported Code = "cannot_tell" // the channel, or the queue, cannot do that
	CodeShutDown    Code = "shut_down"   // the service is shut down
)

// Error is the failure of a call of a Service. It holds no secret and nothing of another tenant.
type Error struct {
	Code   Code
	Detail string // what is wrong, in words; "" = Fields say it
	Remedy string // what to do about it
	Fields []FieldError
	// RetryAfter is when it may work, of CodeRate and CodeUnavailable; 0 = unknown.
	RetryAfter time.Duration
	Err        error // that led to it, for the log; nil = none

	parameter string // that Fields are about, in place of a body; "" = none
}

// FieldError is one mistake in what was given.
type FieldError struct {
	// Pointer is the place in what was given, as RFC 6901 writes it: "/channel/headers/0/name"; "" = all of it.
	Pointer string
	Code    channel.ConfigCode
	Detail  string
	Remedy  string
	Line    int // of text that was given, from 1; 0 = it is not about a line
	Column  int
}

// Error returns everything that is wrong in one line.
func (e *Error) Error() string {
	var all []string
	if e.Detail != "" {
		all = append(all, e.Detail)
	}
	for _, f := range e.Fields {
		all = append(all, strings.TrimPrefix(f.Pointer+" ", " ")+f.Detail+strings.TrimSuffix("; "+f.Remedy, "; "))
	}
	text := cmp.Or(strings.Join(all, ", "), string(e.Code))
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Unwrap returns what led to it.
func (e *Error) Unwrap() error { return e.Err }

func newError(code Code, detail, remedy string) *Error {
	return &Error{Code: code, Detail: detail, Remedy: remedy}
}

func noChannel(name string) *Error {
	return newError(CodeNotFound, fmt.Sprintf("there is no channel %q", clip(name)), "name one that is there")
}

// unavailable is the error of a store or a queue.
func unavailable(what string, err error) *Error {
	return &Error{Code: CodeUnavailable, Detail: what + " does not answer", Remedy: "try again later", RetryAfter: 5 * time.Second, Err: err}
}

// fieldsError makes an Error of the *config.Errors that are joined in err. below is the pointer to what they are about.
func fieldsError(err error, below string) *Error {
	found := fields(err, below)
	if len(found) == 0 {
		return &Error{Code: CodeFields, Fields: []FieldError{{Pointer: below, Code: channel.CodeInvalid, Detail: "cannot be used"}}, Err: err}
	}
	return &Error{Code: CodeFields, Fields: found, Err: err}
}

func fields(err error, below string) []FieldError {
	var all []FieldError
	for _, each := range joined.Errors(err) {
		if e, ok := errors.AsType[*config.Error](each); ok {
			all = append(all, FieldError{below + pointer(e.Path), e.Code, e.Problem, e.Remedy, e.Line, e.Column})
		} else if e, ok := errors.AsType[*channel.ConfigError](each); ok {
			all = append(all, FieldError{Pointer: below, Code: e.Code, Detail: e.Problem, Remedy: e.Remedy})
		}
	}
	return all
}

// pointer turns a path such as headers[0].name into a JSON pointer.
func pointer(path string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		b.WriteByte('/')
		b.WriteString(escapePointer(part))
	}
	return b.String()
}

func escapePointer(part string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
}

// clip shortens a name for an error.
func clip(name string) string { return clipped(name, 60) }

// clipped shortens a text to so many characters.
func clipped(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
