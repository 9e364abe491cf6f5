package sns_test

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

const (
	topicARN    = "arn:aws:sns:eu-west-1:123456789012:access-events"
	fifoARN     = topicARN + ".fifo"
	accessKeyID = "AKIDT0PS3CRET"
	secretKey   = "s3cr3t/KEY+of/the+t0pic"
	messageID   = "94f20ce6-13c5-43a0-9a9e-ca52d816e90b"
)

// cloud is an HTTP server that answers Publish and GetTopicAttributes as SNS does, with the errors and in the order SNS
// has them: the signature first. It is safe for concurrent use.
type cloud struct {
	verifier
	// answer, if set, is asked after the signature was found good, with the number of the request from 1 on; false = go
	// on.
	answer func(w http.ResponseWriter, n int, form url.Values) bool

	mu       sync.Mutex
	requests []request
}

// request is one that came, whether it was good or not.
type request struct {
	header http.Header
	host   string
	form   url.Values
	err    error // of the signature
}

func newCloud() *cloud {
	return &cloud{verifier: verifier{
		service: "sns", region: "eu-west-1", now: time.Now,
		secret: func(id string) (string, string, bool) { return secretKey, "", id == accessKeyID },
	}}
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has gone
	}
	form, _ := url.ParseQuery(string(body))
	err = c.check(asSigned(r, body))
	c.mu.Lock()
	c.requests = append(c.requests, request{r.Header.Clone(), r.Host, form, err})
	n := len(c.requests)
	c.mu.Unlock()

	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("request-%d", n))
	w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
	switch {
	case errors.Is(err, errExpired):
		fail(w, http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired")
	case err != nil:
		fail(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error())
	case c.answer != nil && c.answer(w, n, form):
	case form.Get("Version") != "2010-03-31":
		fail(w, http.StatusBadRequest, "InvalidAction", "no such version")
	case form.Get("TopicArn") != topicARN && form.Get("TopicArn") != fifoARN:
		fail(w, http.StatusNotFound, "NotFound", "Topic does not exist")
	case form.Get("Action") == "Publish":
		publish(w)
	case form.Get("Action") == "GetTopicAttributes":
		reply(w, http.StatusOK, `<GetTopicAttributesResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><GetTopicAttributesResult><Attributes>`+
			`<entry><key>TopicArn</key><value>`+form.Get("TopicArn")+`</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>`)
	default:
		fail(w, http.StatusBadRequest, "InvalidAction", "no such action")
	}
}

func publish(w http.ResponseWriter) {
	reply(w, http.StatusOK, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>`+messageID+
		`</MessageId></PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>`)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>`+code+
		`</Code><Message>`+html.EscapeString(message)+`</Message></Error><RequestId>r</RequestId></ErrorResponse>`)
}

func reply(w http.ResponseWriter, status int, xml string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml)
}

// seen returns what came so far.
func (c *cloud) seen() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// serve starts a server on loopback and returns its URL. Connections are closed with the test.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// open makes a channel that is closed with the test. What c leaves out is that of a topic on this machine without TLS.
func open(t testing.TB, c sns.Config) *sns.Channel {
	t.Helper()
	ch, err := sns.New(local(t, c))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ch.Close()) })
	return ch
}

func local(t testing.TB, c sns.Config) sns.Config {
	t.Helper()
	if c.TopicARN == "" {
		c.TopicARN = topicARN
	}
	if c.Guard == nil {
		guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
		require.NoError(t, err)
		c.Guard = guard
	}
	if fmt.Sprintf("%#v", c.Credentials) == fmt.Sprintf("%#v", sns.Credentials{}) {
		c.Credentials = sns.Static(secret.Literal(accessKeyID), secret.Literal(secretKey), secret.Value{})
	}
	c.Limits.AllowInsecureHTTP = true
	return c
}

// sample is a realistic delivery.
func sample() channel.Delivery {
	e, _ := event.Sample(event.TypeRequestApproved)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
}

// justified is a delivery with a text of anybody's in it.
func justified(t testing.TB, text string, m event.Meta) channel.Delivery {
	t.Helper()
	p, err := event.Decode[event.RequestApproved](sample().Event)
	require.NoError(t, err)
	p.Justification = text
	return channel.Delivery{Event: event.Must(p, m), Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
}

// failure returns err as the channel's own error.
func failure(t testing.TB, err error) *sns.Error {
	t.Helper()
	e, ok := errors.AsType[*sns.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

// compile compiles a template.
func compile(t testing.TB, mode template.Mode, source string) *template.Template {
	t.Helper()
	tpl, err := template.Compile(source, template.Options{Mode: mode})
	require.NoError(t, err)
	return tpl
}
