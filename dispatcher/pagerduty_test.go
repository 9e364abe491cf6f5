package dispatcher_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/preset"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// TestPagerDutyGetsEachIncidentInOrder: with Order BySubject a trigger that has to be retried still comes before its
// acknowledgement and its resolution, and holds up no other incident.
func TestPagerDutyGetsEachIncidentInOrder(t *testing.T) {
	t.Parallel()
	type page struct {
		Action string `json:"event_action"`
		Key    string `json:"dedup_key"`
	}
	pages, answers := make(chan page), make(chan int, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p page
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&p))
		select {
		case pages <- p:
			w.WriteHeader(<-answers)
			_, _ = io.WriteString(w, `{"status":"success"}`)
		case <-r.Context().Done(): // the test has failed
		}
	}))
	t.Cleanup(func() { receiver.CloseClientConnections(); receiver.Close() })

	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	c := preset.PagerDuty(secret.Literal("R0UT1NGK3Y0123456789ABCDEF012345"))
	c.URL, c.Guard, c.Limits.AllowInsecureHTTP = receiver.URL, guard, true
	pager, err := webhook.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pager.Close()) })
	b := start(t, dispatcher.Route{
		Name: "pager", Channel: pager, Order: dispatcher.BySubject, Concurrency: 1,
		Retry: retry.Fixed{Interval: 20 * time.Millisecond, For: time.Minute},
	})

	var events []event.Event
	for _, typ := range []event.Type{
		event.TypeRequestPending, event.TypeAlertOpened, event.TypeRequestApproved, event.TypeAlertAcknowledged, event.TypeGrantActive,
		event.TypeAlertResolved, event.TypeGrantExpired,
	} {
		e, _ := event.Sample(typ)
		events = append(events, e)
	}
	b.dispatch(events...)

	got := make(map[string][]string)
	refused := make(map[page]bool)
	for n := 0; n < len(events); {
		var p page
		select {
		case p = <-pages:
		case <-time.After(30 * time.Second):
			require.Fail(t, "nothing comes any more", "so far %v", got)
		}
		if !refused[p] && p.Action != "acknowledge" { // each of these is refused once
			refused[p] = true
			answers <- http.StatusInternalServerError
			continue
		}
		answers <- http.StatusAccepted
		got[p.Key] = append(got[p.Key], p.Action)
		n++
	}
	assert.Equal(t, map[string][]string{
		"6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9": {"trigger", "acknowledge", "acknowledge", "resolve"},
		"alert-66210":                          {"trigger", "acknowledge", "resolve"},
	}, got)
}
