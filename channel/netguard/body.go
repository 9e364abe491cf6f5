package netguard

import (
	"io"
	"net/http"
)

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

// discard reads r to its end, or a little more than n bytes of it, and tells whether there was any. It is a function of
// its own for its buffer, which would cost every sender stack.
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
