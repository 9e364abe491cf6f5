package netguard

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
)

// body is a response body whose errors are *Error. When it is closed the exchange is over.
type body struct {
	from   io.ReadCloser
	x      atomic.Pointer[exchange] // nil once it is closed
	client *Client
	caller context.Context
	method string
	url    *url.URL
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.failure(b.x.Load(), err)
}

func (b *body) Close() error {
	x := b.x.Swap(nil)
	err := b.from.Close()
	if err != nil {
		err = b.failure(x, err)
	}
	if x != nil {
		b.client.end(x)
	}
	return err
}

// failure makes the error for one met in the body. The status is known, and with it the outcome.
func (b *body) failure(x *exchange, err error) error {
	var e *Error
	if x != nil {
		e = x.explain(b.method, Origin(b.url), err)
	} else {
		e = Classify(b.caller, b.method, Origin(b.url), err, false)
	}
	if e.Kind == KindTotalTimeout {
		e.Kind = KindBodyTimeout
	}
	e.OutcomeUnknown = false
	return e
}

// drain is how much of a body is read, without keeping it, so that the connection can be used again.
const drain = 64 << 10

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
	cut, err = discard(resp.Body, max(limit, drain)-len(data))
	return data, cut, err
}

// discard reads r to its end, or a little more than n bytes of it, and tells whether there was any. It is a function of its
// own for its buffer, which would cost every sender stack.
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
