package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	const path, query, key, password = "P4TH-S3CRET", "QU3RY+S3CRET", "K3Y-S3CRET/1", `PASSW0RD "1"`
	channeltest.Run(t, channeltest.Suite{
		Secrets: []string{path, query, key, password},
		New: func(t *testing.T, a channeltest.Answer) channel.Channel {
			t.Helper()
			target := serve(t, repeating(a))
			hook, err := webhook.New(webhook.Config{
				Guard:   guardOf(t, nil),
				Limits:  netguard.Limits{AllowInsecureHTTP: true},
				URL:     target + "/hooks/" + path + "?sig=" + query,
				Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(key)}},
				Auth:    webhook.Basic("somebody", secret.Literal(password)),
			})
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
	}
}

// Everything a webhook can be given as a secret is planted: masks, headers, either kind of Auth, and a proxy's password.
func TestS47_S52_NoSecretLeaks(t *testing.T) {
	for name, auth := range map[string]webhook.Auth{"basic": webhook.Basic("somebody", secret.Value{}), "token": webhook.Token(secret.Value{})} {
		t.Run(name, func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[webhook.Config]{
				Config: func() webhook.Config {
					return webhook.Config{
						URL:     "http://receiver.test/hooks/{m}?sig={n}&again={n}",
						Masks:   []secret.Mask{{Replacement: "{m}"}, {Replacement: "{n}"}},
						Headers: []webhook.Header{{Name: "X-Key"}, {Name: "Authorization-2"}},
						Auth:    auth,
						Limits:  netguard.Limits{AllowInsecureHTTP: true},
						Proxy:   &netguard.Proxy{User: "us", Profile: netguard.Profile{Loopback: true}},
					}
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
