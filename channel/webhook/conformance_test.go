package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

const path, query, key, password = "P4TH-S3CRET", "QU3RY+S3CRET", "K3Y-S3CRET/1", `PASSW0RD "1"`

func TestConformance(t *testing.T) {
	t.Parallel()
	conform(t, webhook.Config{
		URL:     "/hooks/" + path + "?sig=" + query,
		Headers: []webhook.Header{{Name: "X-Key", Value: key, Sensitive: true}},
	})
}

func TestConformanceWithTemplates(t *testing.T) {
	t.Parallel()
	conform(t, webhook.Config{
		Path: compile(t, template.URL, "/hooks/"+path+"/{{id}}?sig="+query+"&why={{truncate data.justification 100}}"),
		Body: compile(t, template.JSON, `{"id":"{{id}}","type":{{event_type}},"why":"{{data.justification}}","data":{{json data}} }`),
		Headers: []webhook.Header{
			{Name: "X-Key", Template: compile(t, template.Header, key+" {{id}}"), Sensitive: true},
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
			c := c
			c.URL = target + c.URL
			c.Auth = webhook.Basic("somebody", password)
			hook, err := webhook.New(c)
			if err != nil {
				t.Fatal(err)
			}
			return hook
		},
	})
}
