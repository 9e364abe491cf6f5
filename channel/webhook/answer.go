package webhook

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

// answer is what came back.
type answer struct {
	status    int
	header    http.Header     // redacted
	body      []byte          // redacted
	truncated bool            // body is only the beginning
	err       *netguard.Error // the body did not come to its end
}

// take reads resp into m and closes it.
func (c *Channel) take(resp *http.Response, h hiding, m *channel.Message) answer {
	a := answer{status: resp.StatusCode, header: resp.Header}
	body, truncated, err := netguard.ReadBody(resp, c.maxResponse)
	if err != nil {
		truncated, a.err = true, netguard.Classify(resp.Request.Context(), c.method, c.origin, err, false)
	}
	// A body in an encoding that was not asked for cannot be searched for what it repeats.
	if slices.ContainsFunc(resp.Header["Content-Encoding"], isEncoding) {
		truncated, body = truncated || len(body) > 0, nil
	}
	if truncated {
		body = h.cut(body)
	} else {
		body = h.bytes(body)
	}
	redactHeader(h, resp)
	a.body, a.truncated = body, truncated
	*m = channel.Message{Start: startLine(resp), Header: resp.Header, Body: body, Truncated: truncated}
	return a
}

func isEncoding(name string) bool { return name != "" && !strings.EqualFold(name, "identity") }

// startLine is statusLine, without making a new string when the receiver used the same words.
func startLine(resp *http.Response) string {
	if _, words, ok := strings.Cut(resp.Status, " "); ok && words == http.StatusText(resp.StatusCode) {
		return resp.Status
	}
	return statusLine(resp.StatusCode)
}
