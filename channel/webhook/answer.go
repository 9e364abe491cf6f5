package webhook

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

// drainLimit is how much of an answer is read at most so that its connection can be used again.
const drainLimit = 64 << 10

// answer is what came back.
type answer struct {
	status     int
	retryAfter time.Duration
	err        error // the body did not come to its end
}

// take reads resp into x and closes it. The body of an answer that is not final is not read: that of a 101 never ends.
func (c *Channel) take(resp *http.Response, x *exchange) answer {
	a := answer{status: resp.StatusCode}
	var body []byte
	truncated := true
	if final(resp.StatusCode) {
		body, truncated, a.err = readBody(resp.Body, resp.ContentLength, c.maxResponse)
	}
	_ = resp.Body.Close() // all that was wanted has been read
	if v := resp.Header.Get("Retry-After"); v != "" {
		a.retryAfter = retryAfter(v, time.Now())
	}
	hide := c.private.redactor.with(c.private.templates.secrets(&x.rendering))
	hide.header(resp.Header)
	x.response = channel.Message{
		Start:     startLine(resp),
		Header:    resp.Header,
		Body:      hide.body(body, truncated),
		Truncated: truncated,
	}
	return a
}

// startLine is statusLine, without making a new string when the receiver used the same words.
func startLine(resp *http.Response) string {
	if _, text, ok := strings.Cut(resp.Status, " "); ok && text == http.StatusText(resp.StatusCode) {
		return resp.Status
	}
	return statusLine(resp.StatusCode)
}

// readBody keeps the first limit bytes of r and reads on to its end if that is near. announced is the Content-Length, or
// -1. truncated tells that there is more than what it returns, which is so after an error too.
func readBody(r io.Reader, announced int64, limit int) (kept []byte, truncated bool, err error) {
	const guess = 512
	size := int64(guess)
	if announced >= 0 {
		size = announced
	}
	// One byte more than announced, so that the end is found without growing.
	kept = make([]byte, 0, min(size+1, int64(limit)+1))
	for len(kept) <= limit {
		if len(kept) == cap(kept) {
			kept = append(kept, 0)[:len(kept)]
		}
		n, err := r.Read(kept[len(kept):cap(kept)])
		kept = kept[:len(kept)+n]
		if errors.Is(err, io.EOF) {
			return kept[:min(len(kept), limit)], len(kept) > limit, nil
		}
		if err != nil {
			return kept[:min(len(kept), limit)], true, err
		}
	}
	_, err = io.CopyN(io.Discard, r, max(drainLimit-int64(len(kept)), 0)+1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return kept[:limit], true, err
}
