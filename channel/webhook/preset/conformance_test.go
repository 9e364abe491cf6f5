package preset_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

// TestConformance does not run beside the tests that keep the machine busy: the suite waits for a silent destination
// for milliseconds only.
func TestConformance(t *testing.T) {
	for _, p := range products() {
		t.Run(p.name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Suite{
				Secrets: p.secret,
				New: func(t *testing.T, a channeltest.Answer) channel.Channel {
					t.Helper()
					hook, err := webhook.New(at(t, p.config(), repeat(t, p, a)))
					if err != nil {
						t.Fatal(err)
					}
					return hook
				},
			})
		})
	}
}

// repeat starts a receiver that answers in the given class, and repeats all it was sent.
func repeat(t *testing.T, p product, a channeltest.Answer) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, values := range r.Header {
			w.Header()["X-Echo-"+name] = values
		}
		status := map[channeltest.Answer]int{
			channeltest.Accepted: p.taken.status, channeltest.Unavailable: http.StatusServiceUnavailable,
			channeltest.Rejected: http.StatusBadRequest, channeltest.Gone: http.StatusGone, channeltest.Throttled: http.StatusTooManyRequests,
			channeltest.Silent: http.StatusOK,
		}[a]
		if a == channeltest.Throttled {
			w.Header().Set("Retry-After", fmt.Sprint(channeltest.ThrottleDelay.Seconds()))
		}
		if a == channeltest.Silent {
			<-r.Context().Done()
		}
		if a == channeltest.Accepted {
			for name, value := range p.taken.header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, p.taken.body)
			return
		}
		w.WriteHeader(status)
		user, password, _ := r.BasicAuth()
		_, _ = fmt.Fprintf(w, "%s %s %q %+v %s %s %s %q", r.Method, r.RequestURI, r.URL.Path, r.Header, user, password, body, r.Header)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// TestS47_S52_NoSecretLeaks plants a credential in every place that a preset leaves for one, and in masks of the URL.
func TestS47_S52_NoSecretLeaks(t *testing.T) {
	for _, p := range products() {
		t.Run(p.name, func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[webhook.Config]{
				Config: func() webhook.Config {
					c := p.config()
					path, query, _ := strings.Cut(p.path, "?")
					c.URL = "http://receiver.test" + path + "/{m}?sig={n}&" + query
					c.Masks = []secret.Mask{{Replacement: "{m}"}, {Replacement: "{n}"}}
					c.Headers = append(c.Headers, webhook.Header{Name: "X-Key"})
					for i, h := range c.Headers {
						if h.Value != "" {
							c.Headers[i].Value = "" // a secret is planted in its place
						}
					}
					if c.Auth == (webhook.Auth{}) {
						c.Auth = webhook.Token(secret.Value{})
					}
					c.Limits = netguard.Limits{AllowInsecureHTTP: true}
					c.Proxy = &netguard.Proxy{User: "us", Profile: netguard.Profile{Loopback: true}}
					return c
				},
				New: func(t *testing.T, c webhook.Config, a channeltest.Answer) (channel.Channel, error) {
					t.Helper()
					c.Proxy.URL = repeat(t, p, a) // it answers in place of the receiver
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
