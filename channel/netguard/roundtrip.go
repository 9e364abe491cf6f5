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

// roundTrip is one request and its response on one connection, and the response's body. Its time limits are the
// deadlines of the socket, so none of it needs a goroutine or timer of its own.
type roundTrip struct {
	client   *Client
	ctx      context.Context // the caller's
	req      *http.Request
	deadline time.Time // of the whole; the caller's own comes by ctx

	hop       *proxyHop   // nil = direct
	conn      *connection // nil until there is one
	stopWatch func() bool // ends the watch on ctx; nil if that never ends

	written   atomic.Bool   // the socket has accepted the whole request
	writeDone chan struct{} // closed when a large body has been written or has failed; nil = it was written before the reading

	mu            sync.Mutex // guards what reading and writing at the same time have in common
	answered      bool       // the header of the response has come
	headerLimited bool       // reading is held to the limit of the response header
	requestErr    error      // of the request itself, such as a body that cannot be read

	reusable bool      // the connection may be used again when the response has been read
	body     io.Reader // of the response
	bodyRead atomic.Bool
	closed   atomic.Bool
}

// largeBody is the size from which a body is written while the response is awaited: a receiver may refuse a large one
// without reading all of it, while everything smaller fits into the socket's buffers.
const largeBody = 16 << 10

// max1xx is how many 1xx responses are skipped.
const max1xx = 5

// start sends the request and reads the header of the response.
func (t *roundTrip) start() (*http.Response, error) {
	if t.ctx.Done() != nil {
		t.stopWatch = context.AfterFunc(t.ctx, t.conn.drop)
	}
	if err := t.conn.SetDeadline(t.deadline); err != nil {
		return nil, err
	}
	out := t.client.complete(t.req)
	if t.hop != nil {
		out = t.hop.authorize(out)
	}
	if size := out.ContentLength; out.Body != nil && (size < 0 || size > largeBody) {
		t.writeDone = make(chan struct{})
		go func() {
			defer close(t.writeDone)
			t.abort(t.write(out))
		}()
	} else if err := t.write(out); err != nil {
		return t.readEarlyResponse(err)
	}
	return t.readHeader()
}

// write writes the request. The limit of the response header begins when it is written.
func (t *roundTrip) write(req *http.Request) error {
	var err error
	if t.conn.key.host == "" { // a proxy's, for whatever host
		err = req.WriteProxy(t.conn.writer)
	} else {
		err = req.Write(t.conn.writer)
	}
	if err == nil {
		err = t.conn.writer.Flush()
	}
	if err != nil {
		if t.conn.writeErr == nil {
			return &Error{Kind: KindRequest}
		}
		return t.conn.writeErr // net/http wraps it as if the body could not be read
	}
	t.written.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := time.Now().Add(t.client.pool.timeouts.Header)
	if t.answered || !limit.Before(t.deadline) {
		return nil
	}
	t.headerLimited = true
	return t.conn.SetReadDeadline(limit)
}

// abort ends the wait for the response after an error of the request itself. When it is the connection that failed, the
// reading finds out by itself, perhaps after a response.
func (t *roundTrip) abort(err error) {
	if err == nil || t.conn.writeErr != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requestErr = err
	t.conn.drop()
}

func (t *roundTrip) readHeader() (*http.Response, error) {
	t.conn.limitReads(maxResponseHeader)
	for range max1xx + 1 {
		resp, err := http.ReadResponse(t.conn.reader, t.req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 100 || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, t.accept(resp)
		}
	}
	return nil, &Error{Kind: KindProtocol, reason: "it has too many 1xx responses before it", OutcomeUnknown: true}
}

// readEarlyResponse reads what the server sent before it closed a connection that failed in writing: an alert of TLS or
// an early response, which say more than that error does.
func (t *roundTrip) readEarlyResponse(failed error) (*http.Response, error) {
	if !isReset(failed) {
		return nil, failed
	}
	resp, err := t.readHeader()
	if err == nil || isAlert(err) {
		return resp, err
	}
	return nil, failed
}

// accept prepares for the body of a response whose header has come, or refuses the response.
func (t *roundTrip) accept(resp *http.Response) error {
	if resp.StatusCode == http.StatusProxyAuthRequired && t.hop != nil && t.conn.key.host == "" {
		return t.hop.unauthorized() // the proxy's own response, which says nothing of the destination
	}
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return &Error{Kind: KindProtocol, reason: "its status is not one of 200 to 599", OutcomeUnknown: true}
	}
	t.reusable = !resp.Close && !t.req.Close
	t.conn.limitReads(0)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered, t.headerLimited = true, false
	if resp.Body == http.NoBody || int64(t.conn.reader.Buffered()) >= resp.ContentLength && resp.ContentLength >= 0 {
		return nil // all of it has come
	}
	return t.conn.SetReadDeadline(t.deadline)
}

// Read implements io.Reader with the response's body. Its errors are *Error.
func (t *roundTrip) Read(p []byte) (int, error) {
	if t.closed.Load() {
		return 0, &Error{Kind: KindCanceled, Method: t.req.Method, Target: Origin(t.req.URL), reason: "the body is closed", cause: context.Canceled}
	}
	if t.bodyRead.Load() {
		return 0, io.EOF
	}
	n, err := t.body.Read(p)
	if err == io.EOF {
		t.bodyRead.Store(true)
		return n, err
	}
	if err != nil {
		e := t.wrap(err)
		if e.Kind == KindTotalTimeout {
			e.Kind = KindBodyTimeout
		}
		e.OutcomeUnknown = false // the status is known
		return n, e
	}
	return n, nil
}

// Close ends the round trip. The connection is kept if nothing is left to read and the context has not ended.
func (t *roundTrip) Close() error {
	if !t.closed.Swap(true) {
		t.finish(t.bodyRead.Load())
	}
	return nil
}

// finish returns the connection to the pool, or closes it unless all went well. Nothing reads the request afterwards.
func (t *roundTrip) finish(well bool) {
	if t.conn == nil {
		return
	}
	if t.stopWatch != nil && !t.stopWatch() {
		well = false
	}
	if well && t.reusable && t.requestSent() && t.conn.reader.Buffered() == 0 {
		t.client.pool.putIdle(t.conn)
		return
	}
	t.conn.drop()
	if t.writeDone != nil {
		closeBody(t.req)
		<-t.writeDone
	}
}

// requestSent reports whether the socket has accepted the whole request. A large one may still be on its way, because
// the receiver does not read it, or its goroutine about to finish, which is worth a short wait.
func (t *roundTrip) requestSent() bool {
	if t.writeDone != nil {
		moment := time.NewTimer(50 * time.Millisecond)
		defer moment.Stop()
		select {
		case <-t.writeDone:
		case <-moment.C:
			return false
		}
	}
	return t.written.Load()
}

// wrap makes the *Error for err, by what is known of the round trip.
func (t *roundTrip) wrap(err error) *Error {
	written := t.written.Load()
	t.mu.Lock()
	if t.requestErr != nil {
		err = t.requestErr
	}
	headerLimited := t.headerLimited
	t.mu.Unlock()
	if _, known := errors.AsType[*Error](err); !known && t.ctx.Err() == nil && isTimeout(err) {
		kind := KindTotalTimeout
		if headerLimited {
			kind = KindHeaderTimeout
		}
		err = &Error{Kind: kind, cause: context.DeadlineExceeded, OutcomeUnknown: written}
	}
	return Classify(t.ctx, t.req.Method, Origin(t.req.URL), err, written)
}

// maxDiscard is how much of a body is read, without keeping it, so that the connection can be used again.
const maxDiscard = 64 << 10

// ReadBody reads the body of resp to its end, but not more than limit or 64 KiB of it, whichever is more, counted after
// decompression, and closes it. It returns the first limit bytes, and cut says that there was more. A longer body costs
// the connection, which is cheaper than reading it. The error is an *Error; data is what came before it.
func ReadBody(resp *http.Response, limit int) (data []byte, cut bool, err error) {
	defer func() { _ = resp.Body.Close() }()
	size := 512
	if resp.ContentLength >= 0 {
		size = int(min(resp.ContentLength, int64(limit)))
	}
	data = make([]byte, 0, min(size, limit))
	for len(data) < limit {
		if len(data) == cap(data) {
			if int64(len(data)) == resp.ContentLength {
				break
			}
			data = append(data, 0)[:len(data)]
		}
		n, err := resp.Body.Read(data[len(data):min(cap(data), limit)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, false, nil
		}
		if err != nil {
			return data, false, err
		}
	}
	cut, err = discard(resp.Body, max(limit, maxDiscard)-len(data))
	return data, cut, err
}

// discard reads r to its end, or a little more than n bytes of it, and reports whether there were any. It is a function
// of its own for its buffer, which would cost every sender stack.
func discard(r io.Reader, n int) (some bool, err error) {
	var rest [4 << 10]byte
	for n >= 0 {
		got, err := r.Read(rest[:])
		some = some || got > 0
		n -= got
		if err == io.EOF {
			return some, nil
		}
		if err != nil {
			return some, err
		}
	}
	return some, nil
}
