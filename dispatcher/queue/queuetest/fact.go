package queuetest

import (
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// fact makes an event.
func fact(id, reason string) event.Event {
	return event.Must(event.GrantRevoked{Reason: reason}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
}

// job makes a job of a new event; its id is e1, e2 and so on.
func (p *probe) job(route string) queue.Job {
	p.made++
	return queue.Job{Event: fact(fmt.Sprintf("e%d", p.made), "because"), Route: route, Enqueued: time.Now()}
}

func (p *probe) jobs(route string, n int) []queue.Job {
	jobs := make([]queue.Job, n)
	for i := range jobs {
		jobs[i] = p.job(route)
	}
	return jobs
}

// keyed makes a job with an order key.
func (p *probe) keyed(route, key string) queue.Job {
	j := p.job(route)
	j.OrderKey = key
	return j
}

// delayed makes a job with a later time.
func (p *probe) delayed(route string, d time.Duration) queue.Job {
	j := p.job(route)
	j.NotBefore = time.Now().Add(d)
	return j
}

func (p *probe) enqueue(jobs ...queue.Job) {
	p.tb.Helper()
	p.must("Enqueue", p.q.Enqueue(p.ctx, jobs...))
}

func ids(jobs ...queue.Job) []string {
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.Event.ID()
	}
	return names
}

// odd is a payload whose JSON no encoder would write the same way: order of keys, forms of numbers, escapes.
type odd struct{}

const oddJSON = `{"z":1.0,"a":1E+2,"n":123456789012345678901234567890,"u":"\u003cb\u003e \ud83d\udd14 é \u2028 \/","nested":{"b":[],"a":{}}}`

func (odd) EventType() event.Type        { return "queuetest.odd" }
func (odd) MarshalJSON() ([]byte, error) { return []byte(oddJSON), nil }

// oddEvent uses every field of an event.
func oddEvent(id string) event.Event {
	return event.Must(odd{}, event.Meta{
		ID: id, Source: "https://pam.example/ü", Tenant: "tenant 'a' \"b\"", Subject: "request/1.2:3 – ü",
		Time:       time.Date(2031, 2, 3, 4, 5, 6, 789_012_345, time.UTC),
		Attributes: map[string]string{"external_key": "k\n\"1\"", "a.b-c": ""},
	})
}
