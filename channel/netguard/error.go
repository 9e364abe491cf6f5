package netguard

import (
	"context"
	"errors"
)

// Error is every failure that leaves this package at run time. It is built anew from what happened: its text names the
// method and scheme://host[:port], never path, query, user info, an address the name resolved to, a resolver's address
// or what the server sent, and the error met underneath cannot be reached through Unwrap.
type Error struct {
	Kind   Kind
	Cert   CertProblem // for KindTLSCert
	Method string      // "" when a connection was made, not a request
	Target string      // scheme://host[:port], or host:port for a connection

	// OutcomeUnknown is set when the request had been written and no answer came: the receiver may have acted on it. A
	// retry is right, and may make it act twice.
	OutcomeUnknown bool

	absent string        // the host name that does not exist
	reason string        // of a fixed set, safe to show
	cause  error         // *BlockedError, context.Canceled, context.DeadlineExceeded or nil
	detail func() string // a closure, so that %#v does not show it
}

func (e *Error) Error() string {
	text := e.Target
	if e.Method != "" {
		text = e.Method + " " + text
	}
	if text != "" {
		text += ": "
	}
	var refusal *BlockedError
	switch {
	case errors.As(e.cause, &refusal):
		text += refusal.Error()
	case e.absent != "":
		text += unreachable(e.absent)
	default:
		text += e.Kind.text()
	}
	if e.reason != "" {
		text += " (" + e.reason + ")"
	}
	if e.OutcomeUnknown {
		text += "; the request was sent, its outcome is unknown"
	}
	return text
}

// Unwrap returns the *BlockedError of a refusal, or the context error of a timeout or cancellation.
func (e *Error) Unwrap() error { return e.cause }

// Timeout reports whether a time limit was exceeded.
func (e *Error) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }

// Detail is for the operator's log only: it may name resolved addresses and the contents of certificates. It never
// holds the URL or bytes of the answer.
func (e *Error) Detail() string {
	if e.detail == nil {
		return ""
	}
	return e.detail()
}

// refused returns the error for a refusal.
func refused(target string, refusal *BlockedError) *Error {
	e := &Error{Kind: KindBlocked, Target: target, cause: refusal, detail: refusal.Detail}
	if refusal.resolved {
		e.Kind = KindDNS
	}
	return e
}

// withTarget returns a copy for a request.
func (e *Error) withTarget(method, target string) *Error {
	c := *e
	c.Method, c.Target = method, target
	return &c
}
