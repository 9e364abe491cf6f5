package event_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/event"
)

// oneKiB is an access request that encodes to about 1 KiB.
func oneKiB() event.RequestApproved {
	e, _ := event.Sample(event.TypeRequestApproved)
	p, err := event.Decode[event.RequestApproved](e)
	if err != nil {
		panic(err)
	}
	p.AccessGroups = p.AccessGroups[:1]
	p.AccessGroups[0].AccessUnits = p.AccessGroups[0].AccessUnits[:1]
	return p
}

// BenchmarkNew has its floors beside it: json.Marshal of the same payload, and an encoder that does not escape HTML.
func BenchmarkNew(b *testing.B) {
	p := event.Payload(oneKiB())
	b.Run("New", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.New(p, event.Meta{Tenant: "acme"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor=json.Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor=json.Encoder", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out bytes.Buffer
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	e := event.Must(oneKiB(), event.Meta{Tenant: "acme"})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.WithSource("pam").JSON() // a copy that has not been asked yet; its record is one of the allocations
		}
	})
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.JSON()
		}
	})
}

func BenchmarkParse(b *testing.B) {
	form := event.Must(oneKiB(), event.Meta{Tenant: "acme"}).JSON()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Parse(form); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFilterMatch(b *testing.B) {
	e := event.Must(oneKiB(), event.Meta{Tenant: "acme"})
	filters := map[string]event.Filter{
		"zero":   {},
		"types":  event.Types("grant.*", "request.approved"),
		"nested": event.All(event.Any(event.Types("grant.*"), event.Types("request.*")), event.Not(event.WithAttribute("test"))),
		"where":  event.Where(func(e event.Event) bool { return e.Tenant() == "acme" }),
	}
	for name, f := range filters {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !f.Match(e) {
					b.Fatal("must match")
				}
			}
		})
	}
}

// TestHotPathsDoNotAllocate is exact, unlike a timed test; what is called per delivery must leave no garbage.
func TestHotPathsDoNotAllocate(t *testing.T) {
	e := sample(t, event.TypeSessionStarted)
	e.JSON()
	e.Decoded()
	f := event.All(event.Types("session.*"), event.WithAttribute("external_key"), event.Where(func(e event.Event) bool { return !e.IsZero() }))
	same := event.Must(event.SessionStarted{}, event.Meta{})
	var sink int
	allocs := testing.AllocsPerRun(100, func() {
		sink += len(e.ID()) + len(e.Type()) + len(e.Source()) + len(e.Tenant()) + len(e.Subject()) + e.Time().Nanosecond()
		value, _ := e.Attribute("external_key")
		for name, v := range e.Attributes() {
			sink += len(name) + len(v)
		}
		sink += len(value) + len(e.Data()) + len(e.JSON()) + len(e.Decoded())
		if !f.Match(e) || !f.MatchType(e.Type()) || e.SameAs(same) {
			t.Error("the filter must match")
		}
	})
	assert.Zero(t, allocs)
	assert.Positive(t, sink)
}

// TestNewAllocations bounds what New adds to encoding: the encoder, the data, the event, its id.
func TestNewAllocations(t *testing.T) {
	p := event.Payload(oneKiB())
	floor := testing.AllocsPerRun(200, func() { _, _ = json.Marshal(p) })
	got := testing.AllocsPerRun(200, func() { _, _ = event.New(p, event.Meta{Tenant: "acme"}) })
	assert.LessOrEqual(t, got, floor+5)
}
