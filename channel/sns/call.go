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

// apiCall is one call of the SDK, which uses it as its HTTP client for that.
type apiCall struct {
	client   *netguard.Client
	origin   string
	signing  aws.Credentials
	proxy    string // the proxy's password
	redactor *secret.Redactor

	status   int           // 0 = there was no response
	pause    time.Duration // that SNS asks for
	failure  *netguard.Error
	duration time.Duration

	request, response *channel.Message
}

// newCall prepares a call, with the credentials of this moment. Its errors are those of Send.
func (c *Channel) newCall(ctx context.Context) (*apiCall, error) {
	a := &apiCall{client: c.core.client, origin: c.origin}
	var err error
	if a.signing, err = c.core.credentials.retrieve(ctx); err == nil && !c.core.proxy.IsZero() {
		a.proxy, err = c.core.proxy.Reveal(ctx)
	}
	if err != nil {
		return nil, c.credentialError(ctx, err)
	}
	return a, nil
}

// apply makes the SDK use a, and sign with the credentials that a hides from what comes back.
func (a *apiCall) apply(o *sns.Options) {
	o.HTTPClient = a
	o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return a.signing, nil })
}

// maxResponse is how much of a response is read. Those of SNS have about a thousand bytes.
const maxResponse = 64 << 10

// Do sends the request of the SDK and reads the response to its end.
func (a *apiCall) Do(req *http.Request) (*http.Response, error) {
	wire, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	// Neither is signed. The SDK's own User-Agent names the operating system and what the environment says about it.
	req.Header.Del("User-Agent")
	req.Header.Set("Accept-Encoding", "identity")
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	a.redactor = secret.NewRedactor(a.signing.AccessKeyID, a.signing.SecretAccessKey, a.signing.SessionToken, signature, a.proxy)

	req.Body, req.GetBody = io.NopCloser(bytes.NewReader(wire)), nil
	began := time.Now()
	resp, err := a.client.Do(req.Context(), req)
	if err != nil {
		a.duration = time.Since(began)
		a.failure = netguard.Classify(req.Context(), req.Method, a.origin, err, false)
		a.request = a.describeRequest(req.Header, wire) // also without a connection: it shows what was to be sent
		return nil, a.failure
	}
	a.request = a.describeRequest(req.Header, wire)
	return a.readResponse(resp, began)
}

// describeRequest describes the request for the receipt.
func (a *apiCall) describeRequest(header http.Header, wire []byte) *channel.Message {
	shown := maps.Clone(header)
	for name, values := range shown {
		shown[name] = []string{a.redactor.String(values[0])}
	}
	for _, name := range [...]string{"Authorization", "X-Amz-Security-Token"} {
		if shown[name] != nil {
			shown[name] = []string{secret.Redacted}
		}
	}
	return &channel.Message{Start: http.MethodPost + " " + a.origin, Header: shown, Body: a.redactor.Bytes(wire)}
}

// readResponse reads the response for the receipt, and returns it once more for the SDK.
func (a *apiCall) readResponse(resp *http.Response, began time.Time) (*http.Response, error) {
	body, cut, err := netguard.ReadBody(resp, maxResponse+secret.Lookahead)
	a.duration, a.status = time.Since(began), resp.StatusCode
	if err != nil {
		cut = true
		a.failure = netguard.Classify(resp.Request.Context(), http.MethodPost, a.origin, err, false)
		a.failure.OutcomeUnknown = a.failure.OutcomeUnknown || a.status < 300
	}
	a.pause = retryAfter(resp.Header)
	kept := &channel.Message{
		Start: strconv.Itoa(a.status), Header: make(http.Header),
		Body: a.redactor.Cut(body, maxResponse, !cut), Truncated: cut || len(body) > maxResponse,
	}
	body = body[:min(len(body), maxResponse)]
	if words := http.StatusText(a.status); words != "" { // the server's own may be anything
		kept.Start += " " + words
	}
	// A body in an encoding that was not asked for cannot be searched for what it repeats.
	if slices.ContainsFunc(resp.Header["Content-Encoding"], func(e string) bool { return !strings.EqualFold(e, "identity") }) {
		kept.Body, kept.Truncated = nil, true
	}
	for _, name := range [...]string{"Content-Type", "Date", "X-Amzn-Requestid", "X-Amz-Retry-After"} {
		if v := resp.Header.Get(name); v != "" {
			kept.Header[name] = []string{a.redactor.String(v)}
		}
	}
	a.response = kept
	if a.failure != nil {
		return nil, a.failure
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// receipt is what is known of the call.
func (a *apiCall) receipt() channel.Receipt {
	return channel.Receipt{
		Status: a.status, Duration: a.duration, Request: a.request, Response: a.response,
		OutcomeUnknown: a.failure != nil && a.failure.OutcomeUnknown,
	}
}

// retryAfter reads the header in which AWS services say, in milliseconds, how long to wait (the SDK's retry
// middleware). At most a day: a mistake of the other side must not put an event off for years.
func retryAfter(header http.Header) time.Duration {
	ms, err := strconv.ParseUint(header.Get("X-Amz-Retry-After"), 10, 63)
	if err != nil {
		return 0
	}
	const longest = 24 * time.Hour
	return time.Duration(min(ms, uint64(longest.Milliseconds()))) * time.Millisecond
}
