package postgresqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// What can be wrong with the database. Compare with errors.Is; the error itself is a *StoreError.
var (
	ErrConnection = errors.New("the server cannot be reached, or the connection was lost")
	ErrReadOnly   = errors.New("the server is read-only: a standby, or set so")
	ErrPermission = errors.New("the role may not do this")
	ErrSchema     = errors.New("a table of the schema is missing or is another one")
	ErrFull       = errors.New("the server has no room")
	ErrOther      = errors.New("the server refused")
)

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("postgresqueue: the queue is closed")

// StoreError says that the database could not be read or written. It is safe to repeat the call: nothing of it was
// stored, or all, or, of a call with very many events, the first ones (see Queue.Enqueue).
type StoreError struct {
	Op      string // what was being done
	Problem error  // ErrConnection, ErrReadOnly, ErrPermission, ErrSchema, ErrFull or ErrOther
	Code    string // the server's SQLSTATE; "" = it said nothing
	Err     error  // without addresses, names and values
}

func (e *StoreError) Error() string {
	text := fmt.Sprintf("postgresqueue: %s: %v", e.Op, e.Problem)
	if e.Code != "" {
		text += " (SQLSTATE " + e.Code + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + ": " + e.remedy()
}

// Unwrap returns the problem and its cause.
func (e *StoreError) Unwrap() []error { return []error{e.Problem, e.Err} }

func (e *StoreError) remedy() string {
	switch {
	case errors.Is(e.Problem, ErrConnection):
		return "deliveries go on by themselves once it is there"
	case errors.Is(e.Problem, ErrReadOnly):
		return "connect to the primary"
	case errors.Is(e.Problem, ErrPermission):
		return "grant the role what the package documentation lists"
	case errors.Is(e.Problem, ErrSchema):
		return "let a role that may create tables call Migrate"
	case errors.Is(e.Problem, ErrFull):
		return "make room; deliveries go on by themselves then"
	default:
		return "see the server's log"
	}
}

// SchemaError says that a newer version of this package has made the schema.
type SchemaError struct {
	Schema       string
	Found, Known int // versions
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("postgresqueue: schema %s has version %d, this program knows up to %d: update the program",
		e.Schema, e.Found, e.Known)
}

// storeError makes err a *StoreError, unless it is an error of this package's own or of a ctx.
func storeError(op string, err error) error {
	if err == nil {
		return nil
	}
	_, own := errors.AsType[*StoreError](err)
	_, newer := errors.AsType[*SchemaError](err)
	if own || newer || errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, errNoEvent) || errors.Is(err, errElsewhere) {
		return err
	}
	e := &StoreError{Op: op, Problem: problemOf(err), Err: causeOf(err)}
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		e.Code = p.Code
	}
	return e
}

// problemOf says what is wrong with the database.
func problemOf(err error) error {
	p, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if isConnection(err) {
			return ErrConnection
		}
		return ErrOther
	}
	switch {
	case p.Code == "25006":
		return ErrReadOnly
	case p.Code == "42501":
		return ErrPermission
	case p.Code == "42P01" || p.Code == "42703" || p.Code == "3F000":
		return ErrSchema
	case strings.HasPrefix(p.Code, "53"):
		if p.Code == "53300" { // too many connections
			return ErrConnection
		}
		return ErrFull
	case isLost(p.Code):
		return ErrConnection
	}
	return ErrOther
}

// isConflict reports whether a transaction failed because of another one, and may be made again: a deadlock, a
// serialization failure, an id that both store.
func isConflict(err error) bool {
	p, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (p.Code == "40P01" || p.Code == "40001" || p.Code == "23505")
}

// isLost reports whether the server ends the connection, or is not ready yet, with this SQLSTATE.
func isLost(code string) bool {
	return strings.HasPrefix(code, "57P") || strings.HasPrefix(code, "08") || code == "25P03" || code == "25P02" || code == "28P01"
}

// isConnection reports whether an error that the server has not sent is one of the connection.
func isConnection(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	_, system := errors.AsType[syscall.Errno](err)
	if connecting || network || system || pgconn.SafeToRetry(err) {
		return true
	}
	for _, lost := range [...]error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded, pgconn.ErrConnClosed, puddle.ErrClosedPool} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

// causeOf is what may be shown of an error: the driver's texts have addresses, user names and values in them.
func causeOf(err error) error {
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		if hasNames(p.Code) {
			return nil
		}
		return &serverError{p.Message, p}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errNoAnswer
	}
	for _, known := range [...]error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return known
		}
	}
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		return no
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("name resolution failed (no such host: %t)", dns.IsNotFound)
	}
	return nil
}

// hasNames reports whether the server's text for an SQLSTATE names the role, the database or an address, as when it
// refuses a connection, or a value.
func hasNames(code string) bool {
	return slices.Contains([]string{"22", "28", "3D"}, code[:min(2, len(code))]) || code == "53300"
}

var errNoAnswer = errors.New("no answer in time")

// serverError is what the server said: without its details, which name values.
type serverError struct {
	text string
	err  *pgconn.PgError
}

func (e *serverError) Error() string { return e.text }
func (e *serverError) Unwrap() error { return e.err }
