package oteldispatch

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Values of error.type that are not a status, a netguard.Kind or "_OTHER".
const (
	typeBacklog  = "backlog"
	typeCanceled = "canceled"
	typeConflict = "conflict"
	typeGone     = "gone"
	typePanic    = "panic"
	typeTimeout  = "timeout"
	typeUntried  = "untried"
)

// attemptError is the error.type of a failed attempt; "" = it did not fail.
func attemptError(receipt channel.Receipt, err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, channel.ErrGone):
		return typeGone
	case receipt.Status >= 300 && receipt.Status < 600:
		return statusError(receipt.Status)
	}
	if _, panicked := errors.AsType[*channel.PanicError](err); panicked {
		return typePanic
	}
	if n, ok := errors.AsType[*netguard.Error](err); ok {
		return string(n.Kind)
	}
	return otherError(err)
}

// statusError is the error.type of a status. Those that have a meaning in HTTP (net/http's list) or SMTP (RFC 5321
// section 4.2.3, RFC 4954 section 6, RFC 7504) are told as they are. Of others only the class is told: the receiver
// chooses them, and one that goes through all numbers would use up the series of all routes.
func statusError(status int) string {
	switch status {
	case 421, 432, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555, 556:
		return strconv.Itoa(status)
	}
	if http.StatusText(status) != "" {
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status/100) + "xx"
}

// queueError is the error.type of jobs that the queue did not take; "" = it did.
func queueError(err error) string {
	if err == nil {
		return ""
	}
	if _, full := errors.AsType[*queue.BacklogError](err); full {
		return typeBacklog
	}
	if _, conflict := errors.AsType[*queue.ConflictError](err); conflict {
		return typeConflict
	}
	return otherError(err)
}

func otherError(err error) string {
	if errors.Is(err, context.Canceled) {
		return typeCanceled
	}
	if late, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && late.Timeout() {
		return typeTimeout
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
