package sns_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/template"
)

const sessionToken = "t0ken//of+a=s3ssion"

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]sns.Config{
		"standard": {},
		"fifo": {
			TopicARN: fifoARN,
			Body:     compile(t, template.Text, "{{id}} {{data.justification}}"),
			Subject:  compile(t, template.Header, "{{data.justification}}"),
			Group:    compile(t, template.Header, "{{data.justification}}"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channeltest.Run(t, channeltest.Suite{
				Secrets: []string{accessKeyID, secretKey, sessionToken},
				New: func(t *testing.T, a channeltest.Answer) channel.Channel {
					t.Helper()
					c := c
					c.Endpoint = serve(t, repeating(a))
					c.Credentials = sns.Static(secret.Literal(accessKeyID), secret.Literal(secretKey), secret.Literal(sessionToken))
					ch, err := sns.New(local(t, c))
					if err != nil {
						t.Fatal(err)
					}
					return ch
				},
			})
		})
	}
}

// repeating answers in the given class, and repeats all it was sent. It knows the secret key, as SNS does.
func repeating(a channeltest.Answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, values := range r.Header {
			w.Header()["X-Echo-"+name] = values
		}
		w.Header().Set("X-Amzn-Requestid", r.Header.Get("Authorization")+r.Header.Get("X-Amz-Security-Token"))
		echo := html.EscapeString(fmt.Sprintf("%s %s %+v %q %s %s", r.Method, r.RequestURI, r.Header, r.Header, body, secretKey))
		switch a {
		case channeltest.Accepted:
			reply(w, http.StatusOK, `<PublishResponse><PublishResult><MessageId>`+messageID+`</MessageId><Echo>`+echo+`</Echo></PublishResult></PublishResponse>`)
		case channeltest.Unavailable:
			fail(w, http.StatusInternalServerError, "InternalError", echo)
		case channeltest.Throttled:
			w.Header().Set("X-Amz-Retry-After", fmt.Sprint(channeltest.ThrottleDelay.Milliseconds()))
			fail(w, http.StatusBadRequest, "Throttling", echo)
		case channeltest.Rejected:
			fail(w, http.StatusBadRequest, "InvalidParameter", echo)
		case channeltest.Gone:
			fail(w, http.StatusNotFound, "NotFound", echo)
		case channeltest.Silent:
			<-r.Context().Done()
		}
	}
}

// Everything a channel can be given as a secret is planted: the three parts of static credentials, and a proxy's
// password.
func TestS47_S52_NoSecretLeaks(t *testing.T) {
	channeltest.RunLeaks(t, channeltest.LeakSuite[sns.Config]{
		Config: func() sns.Config {
			return sns.Config{
				TopicARN: topicARN, Endpoint: "http://sns.test", Limits: netguard.Limits{AllowInsecureHTTP: true},
				Credentials: sns.Static(secret.Value{}, secret.Value{}, secret.Value{}),
				Proxy:       &netguard.Proxy{User: "us", Profile: netguard.Profile{Loopback: true}},
			}
		},
		New: func(t *testing.T, c sns.Config, a channeltest.Answer) (channel.Channel, error) {
			t.Helper()
			c.Proxy.URL = serve(t, repeating(a)) // it answers in place of SNS
			ch, err := sns.New(c)
			if err != nil {
				return nil, err
			}
			return ch, nil
		},
		Text: func(field, random string) string {
			if strings.Contains(field, ".id") {
				return "AKIA" + random // with nothing that has a meaning in an Authorization header
			}
			return ""
		},
	})
}

// A response that repeats what it was sent where the channel looks for something.
func TestS50_NoSecretComesBackAsAnIDOrACode(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"message id": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusOK, `<PublishResponse><PublishResult><MessageId>x`+accessKeyID+`</MessageId></PublishResult></PublishResponse>`)
		},
		"code": func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusForbidden, accessKeyID, "") },
		"no code": func(w http.ResponseWriter, _ *http.Request) {
			fail(w, http.StatusForbidden, "Bad key "+secretKey, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := open(t, sns.Config{Endpoint: serve(t, answer)})
			receipt, err := ch.Send(t.Context(), sample())
			for _, s := range []string{accessKeyID, secretKey} {
				if strings.Contains(fmt.Sprintf("%+v %v", receipt, err), s) {
					t.Error("a credential came back")
				}
			}
		})
	}
}

// What is compressed cannot be searched, so it is not kept.
func TestS50_AnEncodedAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	for _, encodings := range [][]string{{"gzip"}, {"identity", "x-any"}, {"br, gzip"}} {
		ch := open(t, sns.Config{Endpoint: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Encoding"] = encodings
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "anything")
		}))})
		receipt, err := ch.Send(t.Context(), sample())
		require.Error(t, err)
		assert.Equal(t, http.StatusBadGateway, receipt.Status)
		assert.Empty(t, receipt.Response.Body)
		assert.True(t, receipt.Response.Truncated)
	}
}
