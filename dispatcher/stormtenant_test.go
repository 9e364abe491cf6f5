package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// kind is what is the matter with the receiver of a tenant's route "special".
type kind int

const (
	hangs   kind = iota // until the end of the test
	fails               // always, so that the breaker opens
	gone                // as 410 says
	refuses             // every event, permanently
	kinds
)

// early is how many events of each tenant come before the changes: enough to open a breaker.
const early = 3

// special is how the route of that name begins, and how many attempts its receiver gets then: no more of them follow,
// whatever other tenants change, but for one that refuses.
func (k kind) special() (r dispatcher.Route, attempts int64) {
	r = dispatcher.Route{Name: "special", Timeout: -1, Concurrency: 1, Retry: retry.Fixed{Interval: time.Hour}, MaxAge: 24 * time.Hour,
		Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: early, Pause: 12 * time.Hour}}}
	switch k {
	case hangs:
		r.Concurrency = 2
		return r, 2
	case gone:
		return r, 1
	default:
		return r, early
	}
}

// leakSearch looks in everything that is reported under a tenant's name for the marks of others.
type leakSearch struct {
	mu    sync.Mutex
	leaks []string
	seen  map[string]int // marks, by where they were found
}

func (s *leakSearch) look(tenant, where string, texts ...string) {
	if tenant == dispatcher.AnyTenant {
		return // the platform sees everything
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range texts {
		for i, after := range strings.Split(text, markBegins) {
			if i == 0 {
				continue
			}
			s.seen[where]++
			if owner, _, _ := strings.Cut(after, markEnds); owner != tenant && len(s.leaks) < 10 {
				s.leaks = append(s.leaks, fmt.Sprintf("%s of tenant %q: %s", where, tenant, text))
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func bodies(all ...*channel.Message) (texts []string) {
	for _, m := range all {
		if m != nil {
			texts = append(texts, m.Start+fmt.Sprint(m.Header)+string(m.Body))
		}
	}
	return texts
}

// Write implements io.Writer for a logger that writes JSON.
func (s *leakSearch) Write(line []byte) (int, error) {
	var attrs struct{ Tenant string }
	if err := json.Unmarshal(line, &attrs); err != nil {
		return 0, err
	}
	s.look(attrs.Tenant, "log", string(line))
	return len(line), nil
}

// stormTenant is one of many tenants whose routes have the same names.
type stormTenant struct {
	id      string
	kind    kind
	storm   *tenantStorm
	leaver  bool            // it replaces its hanging receiver
	channel channel.Channel // of the route "special"; another one replaces it if the tenant is a leaver
	steady  channel.Channel // of the route "audit"
	alerts  channel.Channel

	audit, tickets, special, extra *tally

	tried    atomic.Int64 // attempts at the receiver of "special"
	accepted atomic.Int64 // deliveries that Dispatch promised
	settled  atomic.Int64
	disabled atomic.Int64 // notifications
}

func newTally(tenant string, ordered bool) *tally {
	return &tally{tenant: tenant, ordered: ordered, taken: map[string]int{}, last: map[string]int{}}
}

// Send implements channel.Channel: the receiver of "special", in process. Its errors quote the event.
func (t *stormTenant) Send(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
	t.tried.Add(1)
	err := errors.New("the receiver says: " + string(d.Event.JSON()))
	switch t.kind {
	case hangs:
		<-t.storm.release
		n, err := event.Decode[note](d.Event)
		t.special.take(d.Event, n.N)
		return channel.Receipt{}, err
	case gone:
		return channel.Receipt{}, retry.Permanent(errors.Join(err, channel.ErrGone))
	case refuses:
		return channel.Receipt{}, retry.Permanent(err)
	default:
		return channel.Receipt{}, err
	}
}

// respond is the receiver of "special" over HTTP. Its responses quote the event.
func (t *stormTenant) respond(r webhooktest.Request) webhooktest.Response {
	t.tried.Add(1)
	t.storm.search.look(t.id, "request", string(r.Body))
	switch t.kind {
	case hangs:
		<-t.storm.release
		if e, err := event.Parse(r.Body); err == nil {
			n, _ := event.Decode[note](e)
			t.special.take(e, n.N)
		}
		return webhooktest.Response{}
	case gone:
		return webhooktest.Response{Status: http.StatusGone, Body: string(r.Body)}
	case refuses:
		return webhooktest.Response{Status: http.StatusBadRequest, Body: string(r.Body)}
	default:
		return webhooktest.Response{Status: http.StatusInternalServerError, Body: string(r.Body)}
	}
}

// routes are the tenant's after so many changes.
func (t *stormTenant) routes(change int) []dispatcher.Route {
	again := retry.Fixed{Interval: time.Millisecond}
	off := dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: -1}}
	special, _ := t.kind.special()
	special.Channel, special.MaxAge = t.channel, special.MaxAge+time.Duration(change)*time.Minute
	all := []dispatcher.Route{
		{Name: "audit", Channel: t.steady, Timeout: time.Minute + time.Duration(change)*time.Second},
		{Name: "tickets", Channel: t.tickets.channel(), Order: dispatcher.BySubject, Concurrency: 1 + change%4, Retry: again, Protect: off},
		special,
		{Name: "alerts", Channel: t.alerts, Events: event.Types("tocsin.*")},
		{Name: "extra " + mark(t.id), Channel: t.extra.channel()},
	}
	if change%2 == 1 { // it comes and goes
		all = all[:len(all)-1]
	}
	for i := range all {
		all[i].Tenant = t.id
	}
	return all
}
