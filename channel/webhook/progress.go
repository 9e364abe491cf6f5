package webhook

import (
	"bytes"
	"context"
	"sync/atomic"
)

// progress is the context of an attempt's transport. It tells how far the attempt's own dial has come; the dial goes on
// when a pooled connection is free sooner, and even when the attempt is over.
type progress struct {
	context.Context // of the caller
	phase           atomic.Uint32
}

// Phases of a dial. 0 means that there was none yet.
const (
	resolving uint32 = iota + 1
	connecting
	securing
	connected
)

type progressKey struct{}

// Value makes p known to the dialer, whose contexts are derived from p.
func (p *progress) Value(key any) any {
	if key == (progressKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// progressOf returns the progress of the attempt that dials.
func progressOf(ctx context.Context) *progress {
	if p, ok := ctx.Value(progressKey{}).(*progress); ok {
		return p
	}
	return new(progress)
}

// stage is how much of the request the transport took.
type stage uint8

const (
	nothing stage = iota // there was no connection
	part
	whole // and has sent it, or was about to
)

// stageOf reads the stage off the request's body, which had the given size. It may be called once RoundTrip has returned
// an error: an HTTP/1 transport has stopped writing then. (A body type of our own could tell the same, but net/http
// sends the header in a packet of its own unless the body is a type it knows.)
func stageOf(body *bytes.Reader, size int) stage {
	switch body.Len() {
	case 0:
		return whole
	case size:
		return nothing
	}
	return part
}

// timeout returns the kind for an attempt that ran out of time before an answer began.
func (p *progress) timeout(s stage) Kind {
	switch {
	case s == whole:
		return KindHeaderTimeout
	case s == part:
		return KindWriteTimeout
	case p.phase.Load() == resolving:
		return KindDNSTimeout
	case p.phase.Load() == securing:
		return KindTLSTimeout
	}
	return KindConnectTimeout
}
