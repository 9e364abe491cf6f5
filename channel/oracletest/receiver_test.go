package oracletest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
)

// arrival is a request as a receiver got it, for verifiers that want the whole of it and for those that want the parts.
type arrival struct {
	request *http.Request // with its body unread
	body    []byte
}

// send has a channel of c deliver e to a receiver on this machine and returns what arrived.
func send(t *testing.T, c webhook.Config, e event.Event) arrival {
	t.Helper()
	arrivals := make(chan arrival, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r = r.Clone(t.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		arrivals <- arrival{r, body}
	}))
	defer s.Close()
	c.URL, c.Guard, c.Limits = s.URL, guard(t, netguard.Profile{Loopback: true}), netguard.Limits{AllowInsecureHTTP: true}
	hook, err := webhook.New(c)
	require.NoError(t, err)
	defer hook.Close()
	_, err = hook.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1})
	require.NoError(t, err)
	return <-arrivals
}
