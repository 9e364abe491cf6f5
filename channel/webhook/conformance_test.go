package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	const path, query, key, password = "P4TH-S3CRET", "QU3RY+S3CRET", "K3Y-S3CRET/1", `PASSW0RD "1"`
	channeltest.Run(t, channeltest.Suite{
		Secrets: []string{path, query, key, password},
		New: func(t *testing.T, a channeltest.Answer) channel.Channel {
			t.Helper()
			target := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
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
				_, _ = fmt.Fprintf(w, "%s %s %v %s", r.Method, r.RequestURI, r.Header, body)
			})
			hook, err := webhook.New(webhook.Config{
				URL:     target + "/hooks/" + path + "?sig=" + query,
				Headers: []webhook.Header{{Name: "X-Key", Value: key, Sensitive: true}},
				Auth:    webhook.Basic("somebody", password),
			})
			if err != nil {
				t.Fatal(err)
			}
			return hook
		},
	})
}
