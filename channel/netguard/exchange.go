package netguard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one request and its response on one connection, and the response's body. Its time limits are the
// deadlines of the socket, so none of it needs a goroutine or timer of its own.
type exchange struct {
	client   *Client
	caller   context.Context
	req      *http.Request
	deadline time.Time // of the whole; the caller's own comes by its context

	via    *hop        // nil = direct
	conn   *connection // nil until there is one
	unlink func() bool // from the caller; nil if that never ends

	written atomic.Bool   // the socket has taken the whole request
	writing chan struct{} // closed when a large body has been written or has failed; nil = it was written before the reading

	mu       sync.Mutex // guards what reading and writing at the same time have in common
	answered bool       // the header of the response has come
	pressed  bool       // the limit of the response header is what reading is held to
	fault    error      // of the request itself, such as a body that cannot be read

	keep     bool      // the connection may be used again when the response has been read
	body     io.Reader // of the response
	complete atomic.Bool
	closed   atomic.Bool
}

// largeBody is the size from which a body is written while the response is awaited: a receiver may refuse a large one
// without reading all of it, while everything smaller fits into the socket's buffers.
const largeBody = 16 << 10

// maxHints is how many 1xx responses are skipped.
const maxHints = 5

// run makes the exchange up to the header of the response.
func (x *exchange) run() (*http.Response, error) {
	if x.caller.Done() != nil {
		x.unlink = context.AfterFunc(x.caller, x.conn.drop)
	}
	if err := x.conn.SetDeadline(x.deadline); err != nil {
		return nil, err
	}
	out := x.client.complete(x.req)
	if x.via != nil {
		out = x.via.authorize(out)
	}
	if size := out.ContentLength; out.Body != nil && (size < 0 || size > largeBody) {
		x.writing = make(chan struct{})
		go func() {
			defer close(x.writing)
			x.note(x.write(out))
		}()
	} else if err := x.write(out); err != nil {
		return x.readEarlyResponse(err)
	}
	return x.answer()
}

// answer reads the header of the response.
func (x *exchange) answer() (*http.Response, error) {
	x.conn.limit(maxResponseHeader)
	for range maxHints + 1 {
		resp, err := http.ReadResponse(x.conn.reader, x.req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 100 || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, x.accept(resp)
		}
	}
	return nil, &Error{Kind: KindProtocol, reason: "it has too many 1xx responses before it", OutcomeUnknown: true}
}

// readEarlyResponse looks for what the server said before it cut off a connection that failed in writing: an alert of
// TLS or an early answer, which tell more than that error does.
func (x *exchange) readEarlyResponse(failed error) (*http.Response, error) {
	if !isReset(failed) {
		return nil, failed
	}
	resp, err := x.answer()
	if err == nil || isAlert(err) {
		return resp, err
	}
	return nil, failed
}

// write writes the request. The limit of the response header begins when it is written.
func (x *exchange) write(req *http.Request) error {
	var err error
	if x.conn.key.host == "" { // a proxy's, for whatever host
		err = req.WriteProxy(x.conn.writer)
	} else {
		err = req.Write(x.conn.writer)
	}
	if err == nil {
		err = x.conn.writer.Flush()
	}
	if err != nil {
		if x.conn.unsent == nil {
			return &Error{Kind: KindRequest}
		}
		return x.conn.unsent // net/http wraps it as if the body could not be read
	}
	x.written.Store(true)
	x.mu.Lock()
	defer x.mu.Unlock()
	limit := time.Now().Add(x.client.pool.timeouts.Header)
	if x.answered || !limit.Before(x.deadline) {
		return nil
	}
	x.pressed = true
	return x.conn.SetReadDeadline(limit)
}

// note keeps the fault of a request whose response is awaited already, and ends that. When it is the connection that
// failed, the reading finds out by itself, perhaps after an answer.
func (x *exchange) note(err error) {
	if err == nil || x.conn.unsent != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fault = err
	x.conn.drop()
}

// accept takes the header of the response.
func (x *exchange) accept(resp *http.Response) error {
	if resp.StatusCode == http.StatusProxyAuthRequired && x.via != nil && x.conn.key.host == "" {
		return x.via.unauthorized() // the proxy's own answer, which tells nothing of the destination
	}
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return &Error{Kind: KindProtocol, reason: "its status is not one of 200 to 599", OutcomeUnknown: true}
	}
	x.keep = !resp.Close && !x.req.Close
	x.conn.limit(0)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answered, x.pressed = true, false
	if resp.Body == http.NoBody || int64(x.conn.reader.Buffered()) >= resp.ContentLength && resp.ContentLength >= 0 {
		return nil // all of it has come
	}
	return x.conn.SetReadDeadline(x.deadline)
}

// Read implements io.Reader with the response's body. Its errors are *Error.
func (x *exchange) Read(p []byte) (int, error) {
	if x.closed.Load() {
		return 0, &Error{Kind: KindCanceled, Method: x.req.Method, Target: Origin(x.req.URL), reason: "the body is closed", cause: context.Canceled}
	}
	if x.complete.Load() {
		return 0, io.EOF
	}
	n, err := x.body.Read(p)
	if err == io.EOF {
		x.complete.Store(true)
		return n, err
	}
	if err != nil {
		e := x.explain(err)
		if e.Kind == KindTotalTimeout {
			e.Kind = KindBodyTimeout
		}
		e.OutcomeUnknown = false // the status is known
		return n, e
	}
	return n, nil
}

// Close ends the exchange. The connection is kept if nothing is left on it and nobody has ended it.
func (x *exchange) Close() error {
	if !x.closed.Swap(true) {
		x.end(x.complete.Load())
	}
	return nil
}

// end gives the connection back, or closes it unless the exchange has gone well. Nothing reads the request afterwards.
func (x *exchange) end(well bool) {
	if x.conn == nil {
		return
	}
	if x.unlink != nil && !x.unlink() {
		well = false
	}
	if well && x.keep && x.sent() && x.conn.reader.Buffered() == 0 {
		x.client.pool.put(x.conn)
		return
	}
	x.conn.drop()
	if x.writing != nil {
		closeBody(x.req)
		<-x.writing
	}
}

// sent reports whether the socket has taken the whole request. It may still be at a large one, because the receiver
// does not read it, or just be about to say so, which is worth a moment.
func (x *exchange) sent() bool {
	if x.writing != nil {
		moment := time.NewTimer(50 * time.Millisecond)
		defer moment.Stop()
		select {
		case <-x.writing:
		case <-moment.C:
			return false
		}
	}
	return x.written.Load()
}

// explain makes the error of the exchange from one that was met.
func (x *exchange) explain(err error) *Error {
	written := x.written.Load()
	x.mu.Lock()
	if x.fault != nil {
		err = x.fault
	}
	pressed := x.pressed
	x.mu.Unlock()
	if _, known := errors.AsType[*Error](err); !known && x.caller.Err() == nil && isTimeout(err) {
		kind := KindTotalTimeout
		if pressed {
			kind = KindHeaderTimeout
		}
		err = &Error{Kind: kind, cause: context.DeadlineExceeded, OutcomeUnknown: written}
	}
	return Classify(x.caller, x.req.Method, Origin(x.req.URL), err, written)
}
