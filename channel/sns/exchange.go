package sns

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// exchange is the HTTP exchange of one attempt. The SDK uses it as its client for one call.
type exchange struct {
	client   *netguard.Client
	origin   string
	signing  aws.Credentials
	proxy    string // the proxy's password
	redactor *secret.Redactor

	status   int           // 0 = there was no answer
	pause    time.Duration // that SNS asks for
	failure  *netguard.Error
	duration time.Duration

	request, response *channel.Message
}

// begin prepares an exchange, with the credentials of this moment. Its errors are those of Send.
func (c *Channel) begin(ctx context.Context) (*exchange, error) {
	x := &exchange{client: c.private.client, origin: c.origin}
	var err error
	if x.signing, err = c.private.credentials.retrieve(ctx); err == nil && !c.private.proxy.IsZero() {
		x.proxy, err = c.private.proxy.Reveal(ctx)
	}
	if err != nil {
		return nil, c.credentialError(ctx, err)
	}
	return x, nil
}

// use makes a call of the SDK use x, and sign with the credentials that x hides from what comes back.
func (x *exchange) use(o *sns.Options) {
	o.HTTPClient = x
	o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return x.signing, nil })
}

// maxResponse is how much of an answer is read. Those of SNS have about a thousand bytes.
const maxResponse = 64 << 10

// Do sends the request of the SDK and reads the answer to its end.
func (x *exchange) Do(req *http.Request) (*http.Response, error) {
	wire, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	// Neither is signed. The SDK's own User-Agent names the operating system and what the environment says about it.
	req.Header.Del("User-Agent")
	req.Header.Set("Accept-Encoding", "identity")
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	x.redactor = secret.NewRedactor(x.signing.AccessKeyID, x.signing.SecretAccessKey, x.signing.SessionToken, signature, x.proxy)

	req.Body, req.GetBody = io.NopCloser(bytes.NewReader(wire)), nil
	began := time.Now()
	resp, err := x.client.Do(req.Context(), req)
	if err != nil {
		x.duration = time.Since(began)
		x.failure = netguard.Classify(req.Context(), req.Method, x.origin, err, false)
		x.request = x.sent(req.Header, wire) // also when nobody could be reached: it shows what was to be sent
		return nil, x.failure
	}
	x.request = x.sent(req.Header, wire)
	return x.take(resp, began)
}

// sent describes the request for the receipt.
func (x *exchange) sent(header http.Header, wire []byte) *channel.Message {
	shown := maps.Clone(header)
	for name, values := range shown {
		shown[name] = []string{x.redactor.String(values[0])}
	}
	for _, name := range [...]string{"Authorization", "X-Amz-Security-Token"} {
		if shown[name] != nil {
			shown[name] = []string{secret.Redacted}
		}
	}
	return &channel.Message{Start: http.MethodPost + " " + x.origin, Header: shown, Body: x.redactor.Bytes(wire)}
}

// take reads the answer for the receipt, and returns it once more for the SDK.
func (x *exchange) take(resp *http.Response, began time.Time) (*http.Response, error) {
	body, cut, err := netguard.ReadBody(resp, maxResponse+secret.Lookahead)
	x.duration, x.status = time.Since(began), resp.StatusCode
	if err != nil {
		cut = true
		x.failure = netguard.Classify(resp.Request.Context(), http.MethodPost, x.origin, err, false)
		x.failure.OutcomeUnknown = x.failure.OutcomeUnknown || x.status < 300
	}
	x.pause = retryAfter(resp.Header)
	kept := &channel.Message{
		Start: strconv.Itoa(x.status), Header: make(http.Header),
		Body: x.redactor.Cut(body, maxResponse, !cut), Truncated: cut || len(body) > maxResponse,
	}
	body = body[:min(len(body), maxResponse)]
	if words := http.StatusText(x.status); words != "" { // the server's own may be anything
		kept.Start += " " + words
	}
	// A body in an encoding that was not asked for cannot be searched for what it repeats.
	if slices.ContainsFunc(resp.Header["Content-Encoding"], func(e string) bool { return !strings.EqualFold(e, "identity") }) {
		kept.Body, kept.Truncated = nil, true
	}
	for _, name := range [...]string{"Content-Type", "Date", "X-Amzn-Requestid", "X-Amz-Retry-After"} {
		if v := resp.Header.Get(name); v != "" {
			kept.Header[name] = []string{x.redactor.String(v)}
		}
	}
	x.response = kept
	if x.failure != nil {
		return nil, x.failure
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// receipt is what is known of the exchange.
func (x *exchange) receipt() channel.Receipt {
	return channel.Receipt{
		Status: x.status, Duration: x.duration, Request: x.request, Response: x.response,
		OutcomeUnknown: x.failure != nil && x.failure.OutcomeUnknown,
	}
}

// retryAfter reads the header in which AWS services say, in milliseconds, how long to leave them alone (the SDK's retry
// middleware). At most a day: a mistake of the other side must not put an event off for years.
func retryAfter(header http.Header) time.Duration {
	ms, err := strconv.ParseUint(header.Get("X-Amz-Retry-After"), 10, 63)
	if err != nil {
		return 0
	}
	const longest = 24 * time.Hour
	return time.Duration(min(ms, uint64(longest.Milliseconds()))) * time.Millisecond
}
