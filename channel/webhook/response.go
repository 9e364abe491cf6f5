package webhook

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
)

// Response is what a receiver answered, without the secrets of the configuration. It must not be modified or retained.
type Response struct {
	Status    int
	Header    http.Header // Set-Cookie and the targets of redirects are hidden
	Body      []byte      // at most Config.MaxResponse bytes, decoded from gzip or deflate; none of another Content-Encoding
	Truncated bool        // Body is only the beginning, or could not be decoded
}

// Reading is what a response means.
type Reading struct {
	// Verdict counts in place of the status's: success, transient or permanent. Postponed counts as transient:
	// something was tried.
	Verdict retry.Verdict
	// Gone says of VerdictPermanent that the receiver is gone: the error is channel.ErrGone. With status 410 it need
	// not be set.
	Gone bool
	// Reason is the receiver's own code for a verdict other than success, such as "channel_not_found", for people. Take
	// a code, not a sentence, from the response: it may quote the event. At most 100 characters of printable ASCII are
	// kept.
	Reason string
	// RetryAfter is how long to send the receiver nothing, for VerdictTransient: nothing is sent to it meanwhile,
	// see retry.Throttle. At most 24 hours count. 0 = what its headers say.
	RetryAfter time.Duration
	// ProviderID is the receiver's own id for what it took, for the receipt. It is left out when it is longer than 255
	// characters or holds anything but printable ASCII.
	ProviderID string
	// OutcomeUnknown says that the receiver may have acted although it answers something else, for the receipt.
	OutcomeUnknown bool
}

// response is a Response and how it was read.
type response struct {
	Response
	complete bool            // the body has come to its end, or to what is read of it, and was understood
	err      *netguard.Error // why it has not come to its end
}

// readResponse reads resp, also into m for the receipt, and closes it.
func (c *core) readResponse(resp *http.Response, r *secret.Redactor, m *channel.Message) response {
	read := response{complete: true}
	limit := c.config.MaxResponse
	body, more, err := netguard.ReadBody(resp, limit+secret.Lookahead)
	if err != nil {
		read.err = netguard.Classify(resp.Request.Context(), c.config.Method, c.origin, err, false)
		read.complete = false
	}
	whole := !more && err == nil
	if coding := contentCoding(resp.Header); coding != "" && len(body) > 0 {
		var readable bool
		body, whole, readable = decode(coding, body, limit+secret.Lookahead, whole)
		read.complete = read.complete && readable
	}
	truncated := !whole || len(body) > limit
	redactHeader(r, resp)
	read.Response = Response{resp.StatusCode, resp.Header, r.Cut(body, limit, whole), truncated}
	*m = channel.Message{Start: startLine(resp), Header: resp.Header, Body: read.Body, Truncated: truncated}
	return read
}

// startLine is statusLine, without making a new string when the receiver used the same words.
func startLine(resp *http.Response) string {
	if _, words, ok := strings.Cut(resp.Status, " "); ok && words == http.StatusText(resp.StatusCode) {
		return resp.Status
	}
	return statusLine(resp.StatusCode)
}

// redactHeader removes secrets from resp's header in place: the known ones, cookies, and all but the origin of a
// redirect's target, which may be a signed URL.
func redactHeader(r *secret.Redactor, resp *http.Response) {
	for name, values := range resp.Header {
		for i, v := range values {
			switch name {
			case "Set-Cookie":
				v = secret.Redacted
			case "Location", "Content-Location", "Refresh":
				if v = locationOrigin(resp.Request.URL, v); v == "" {
					v = secret.Redacted
				}
			}
			values[i] = r.String(v)
		}
	}
}

// locationOrigin returns the origin of a redirect's Location header, resolved against the URL that was called, or "" if
// there is none or it is not one. A Location may hold a credential in its path or query.
func locationOrigin(called *url.URL, location string) string {
	if location == "" || called == nil {
		return ""
	}
	u, err := called.Parse(location)
	if err != nil || u.Host == "" || strings.ContainsFunc(u.Host, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return netguard.Origin(u)
}

// interpret says what a response means, by its status and Config.Interpret.
func (c *core) interpret(answer response) Reading {
	r := Reading{Verdict: retry.VerdictSuccess}
	if !c.succeeded(answer.Status) {
		r.Verdict = c.config.Verdicts(answer.Status)
	}
	if c.config.Interpret == nil {
		return r
	}
	r = c.config.Interpret(answer.Response, r.Verdict)
	r.Reason = printable(r.Reason, 100)
	r.RetryAfter = min(r.RetryAfter, maxRetryAfter)
	if len(r.ProviderID) > 255 || printable(r.ProviderID, 255) != r.ProviderID {
		r.ProviderID = ""
	}
	return r
}

func (c *core) succeeded(status int) bool {
	if len(c.config.Success) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(c.config.Success, status)
}

// printable returns at most most bytes of s, with what is not printable ASCII as blanks and without blanks around it.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*most)])
	return strings.Trim(s[:min(len(s), most)], " ")
}

// contentCoding returns the Content-Encoding of a body, in lower case; "" when it has none. Several are one that decode
// does not know.
func contentCoding(header http.Header) string {
	var codings []string
	for name := range strings.SplitSeq(strings.Join(header["Content-Encoding"], ","), ",") {
		if name = strings.ToLower(strings.Trim(name, " \t")); name != "" && name != "identity" {
			codings = append(codings, name)
		}
	}
	return strings.Join(codings, ",")
}

// decode returns up to limit bytes of what a body in a Content-Encoding is when it is decoded, so that a small body
// cannot become a large one. whole says of the body, and of the result, that it is all of it. readable is false when
// the encoding is not known or the body is not in it: receivers are asked for none, so those two that every server has
// are enough.
func decode(coding string, body []byte, limit int, whole bool) (decoded []byte, all, readable bool) {
	var r io.Reader
	var err error
	switch coding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate": // by RFC 9110 in a zlib frame, which some servers leave out
		if r, err = zlib.NewReader(bytes.NewReader(body)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, false, false
	}
	if err != nil {
		return nil, false, false
	}
	text := bytes.NewBuffer(make([]byte, 0, min(4*len(body), limit+1)+bytes.MinRead))
	_, err = text.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if decoded = text.Bytes(); len(decoded) > limit {
		return decoded[:limit], false, true
	}
	return decoded, whole && err == nil, err == nil || !whole
}
