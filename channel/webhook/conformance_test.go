package webhook_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/template"
)

const path, query, key, password = "P4TH-S3CRET", "QU3RY+S3CRET", "K3Y-S3CRET/1", `PASSW0RD "1"`

func TestConformance(t *testing.T) {
	t.Parallel()
	conform(t, webhook.Config{
		URL:     "/hooks/" + path + "?sig=" + query,
		Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(key)}},
	})
}

func TestConformanceWithTemplates(t *testing.T) {
	t.Parallel()
	conform(t, webhook.Config{
		Path: compile(t, template.URL, "/hooks/"+path+"/{{id}}?sig="+query+"&why={{truncate data.justification 100}}"),
		Body: webhook.TemplateBody(compile(t, template.JSON, `{"id":"{{id}}","type":{{event_type}},"why":"{{data.justification}}","data":{{json data}} }`)),
		Headers: []webhook.Header{
			{Name: "Cookie", Template: compile(t, template.Header, key+" {{id}}")},
			{Name: "X-Type", Template: compile(t, template.Header, "{{event_type}}")},
		},
	})
}

// conform runs the conformance suite with c, whose URL lacks the origin.
func conform(t *testing.T, c webhook.Config) {
	t.Helper()
	channeltest.Run(t, channeltest.Suite{
		Secrets: []string{path, query, key, password},
		New: func(t *testing.T, a channeltest.Answer) channel.Channel {
			t.Helper()
			c := c
			c.Guard = guardOf(t, nil)
			c.Limits = netguard.Limits{AllowInsecureHTTP: true}
			c.URL = serve(t, repeating(a)) + c.URL
			c.Auth = webhook.Basic("somebody", secret.Literal(password))
			hook, err := webhook.New(c)
			if err != nil {
				t.Fatal(err)
			}
			return hook
		},
	})
}

// repeating answers in the given class, and repeats all it was sent.
func repeating(a channeltest.Answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, values := range r.Header {
			w.Header()["X-Echo-"+name] = values
		}
		switch a {
		case channeltest.Accepted:
			w.WriteHeader(http.StatusAccepted)
		case channeltest.Unavailable:
			w.WriteHeader(http.StatusBadGateway)
		case channeltest.Throttled:
			w.Header().Set("Retry-After", fmt.Sprint(channeltest.ThrottleDelay.Seconds()))
			w.WriteHeader(http.StatusTooManyRequests)
		case channeltest.Rejected:
			w.WriteHeader(http.StatusUnprocessableEntity)
		case channeltest.Gone:
			w.WriteHeader(http.StatusGone)
		case channeltest.Silent:
			<-r.Context().Done()
		}
		user, password, _ := r.BasicAuth()
		_, _ = fmt.Fprintf(w, "%s %s %q %+v %s %s %s %q", r.Method, r.RequestURI, r.URL.Path, r.Header, user, password, body, r.Header)
		_, _ = io.WriteString(w, html.EscapeString(fmt.Sprint(r.RequestURI, r.URL.Path, r.Header, user, password)))
	}
}

// Everything a webhook can be given as a secret is planted: masks, headers, either kind of Auth, the keys in a body and
// of a signature, and a proxy's password.
func TestS47_S52_NoSecretLeaks(t *testing.T) {
	for name, auth := range map[string]webhook.Auth{"basic": webhook.Basic("somebody", secret.Value{}), "token": webhook.Token(secret.Value{}), "scheme": webhook.Scheme("Bearer", secret.Value{})} {
		t.Run(name, func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[webhook.Config]{
				Config: func() webhook.Config {
					return webhook.Config{
						URL:     "http://receiver.test/hooks/{m}?sig={n}&again={n}",
						Masks:   []secret.Mask{{Replacement: "{m}"}, {Replacement: "{n}"}},
						Headers: []webhook.Header{{Name: "X-Key"}, {Name: "Authorization-2"}},
						Auth:    auth,
						Body:    webhook.BodyFunc("", keyed, secret.Literal("12345678"), secret.Literal("12345678")),
						Sign:    webhook.Sign(signature.Standard, signingKey(newKey), signingKey(oldKey)),
						Limits:  netguard.Limits{AllowInsecureHTTP: true},
						Proxy:   &netguard.Proxy{User: "us", Profile: netguard.Profile{Loopback: true}},
					}
				},
				Text: func(field, random string) string {
					if strings.HasPrefix(field, "Sign.keys") {
						return "whsec_" + random + strings.Repeat("A", 32-len(random)) // 24 bytes
					}
					return ""
				},
				New: func(t *testing.T, c webhook.Config, a channeltest.Answer) (channel.Channel, error) {
					t.Helper()
					c.Proxy.URL = serve(t, repeating(a)) // it answers in place of the receiver
					hook, err := webhook.New(c)
					if err != nil {
						return nil, err
					}
					return hook, nil
				},
			})
		})
	}
}
