package webhook

import (
	"net/http"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// answer is what came back.
type answer struct {
	status    int
	header    http.Header     // redacted
	body      []byte          // decoded and redacted
	truncated bool            // body is only the beginning
	complete  bool            // the body has come to its end, or to what is read of it, and was understood
	err       *netguard.Error // why it has not come to its end
}

// take reads resp into m and closes it.
func (c *core) take(resp *http.Response, r *secret.Redactor, m *channel.Message) answer {
	a := answer{status: resp.StatusCode, header: resp.Header, complete: true}
	body, more, err := netguard.ReadBody(resp, c.maxResponse+secret.Lookahead)
	if err != nil {
		a.err = netguard.Classify(resp.Request.Context(), c.method, c.origin, err, false)
		a.complete = false
	}
	whole := !more && err == nil
	if coding := contentCoding(resp.Header); coding != "" && len(body) > 0 {
		var readable bool
		body, whole, readable = decode(coding, body, c.maxResponse+secret.Lookahead, whole)
		a.complete = a.complete && readable
	}
	a.truncated = !whole || len(body) > c.maxResponse
	a.body = r.Cut(body, c.maxResponse, whole)
	redactHeader(r, resp)
	*m = channel.Message{Start: startLine(resp), Header: resp.Header, Body: a.body, Truncated: a.truncated}
	return a
}

// startLine is statusLine, without making a new string when the receiver used the same words.
func startLine(resp *http.Response) string {
	if _, words, ok := strings.Cut(resp.Status, " "); ok && words == http.StatusText(resp.StatusCode) {
		return resp.Status
	}
	return statusLine(resp.StatusCode)
}
