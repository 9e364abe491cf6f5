package event

import (
	"bytes"
	"encoding/json"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Event is a fact that has happened. It is immutable and holds one pointer, so it is copied and shared freely, also
// between goroutines. Events are told apart by [Event.ID]; == does not compile, because it would compare pointers.
// The zero Event is no event: its accessors return zero values.
type Event struct {
	_ [0]func()
	p *record
}

// record leads to the facts that all copies of an Event share. The second pointer keeps them out of logs: for a verb
// that does not fit, such as %s for a struct with an Event in an unexported field, fmt prints what a pointer in it
// points to, but follows no further one.
type record struct{ *facts }

type facts struct {
	typ   Type
	meta  Meta        // without Attributes; complete: id, time and subject are filled in
	attrs []attribute // sorted by name
	data  json.RawMessage

	formOnce sync.Once
	form     json.RawMessage // the JSON form
	treeOnce sync.Once
	tree     map[string]any // the JSON form, decoded
}

// New makes an event out of a payload, which is encoded here, once, and not used afterwards. Strings of the payload
// that are not valid UTF-8 get U+FFFD in place of the bad bytes, as encoding/json does. The error is an
// [*InvalidError]; a payload that panics while it is encoded is such an error too.
func New(p Payload, m Meta) (e Event, err error) {
	defer func() {
		if recover() != nil {
			// The panic's value may quote the payload.
			e, err = Event{}, &InvalidError{Field: "payload", Problem: "panicked", Remedy: "call its methods and json.Marshal in a test to see why"}
		}
	}()
	if isNil(p) {
		return Event{}, &InvalidError{Field: "payload", Problem: "is nil", Remedy: "pass a value such as event.RequestApproved{…}"}
	}
	typ := p.EventType()
	if err := typ.check(); err != nil {
		return Event{}, err
	}
	m = m.complete(p)
	attrs, err := m.check()
	if err != nil {
		return Event{}, err
	}
	data, err := encode(p)
	if err != nil {
		return Event{}, err
	}
	return newEvent(typ, m, attrs, data), nil
}

// complete fills in what the host left empty.
func (m Meta) complete(p Payload) Meta {
	now := time.Now()
	if m.ID == "" {
		m.ID = newID(now)
	}
	if m.Time.IsZero() {
		m.Time = now
	}
	if s, ok := p.(Subjecter); ok && m.Subject == "" {
		m.Subject = s.EventSubject()
	}
	if a, ok := p.(Attributer); ok {
		if all := maps.Clone(a.EventAttributes()); len(all) > 0 {
			maps.Copy(all, m.Attributes)
			m.Attributes = all
		}
	}
	return m
}

func newEvent(typ Type, m Meta, attrs []attribute, data json.RawMessage) Event {
	m.Attributes = nil    // attrs has them
	m.Time = m.Time.UTC() // and without a monotonic clock reading
	both := &struct {     // one allocation
		record
		f facts
	}{f: facts{typ: typ, meta: m, attrs: attrs, data: data}}
	both.record.facts = &both.f
	return Event{p: &both.record}
}

// Must is [New] for payloads known to be good, such as those in tests and examples. It panics on an error.
func Must(p Payload, m Meta) Event {
	e, err := New(p, m)
	if err != nil {
		panic(err) //nolint:forbidigo // that is what Must is documented to do
	}
	return e
}

// IsZero tells whether e is the zero Event.
func (e Event) IsZero() bool { return e.p == nil }

// ID identifies the event; it is the same in every delivery and redelivery.
func (e Event) ID() string {
	if e.p == nil {
		return ""
	}
	return e.p.meta.ID
}

// Type says what kind of event it is.
func (e Event) Type() Type {
	if e.p == nil {
		return ""
	}
	return e.p.typ
}

// Time is when it happened, in UTC, to the nanosecond.
func (e Event) Time() time.Time {
	if e.p == nil {
		return time.Time{}
	}
	return e.p.meta.Time
}

// Source says where the event comes from; it may be empty.
func (e Event) Source() string {
	if e.p == nil {
		return ""
	}
	return e.p.meta.Source
}

// Tenant is the customer the event belongs to; empty when it belongs to none.
func (e Event) Tenant() string {
	if e.p == nil {
		return ""
	}
	return e.p.meta.Tenant
}

// Subject is what the event is about, for example a request's id; it may be empty.
func (e Event) Subject() string {
	if e.p == nil {
		return ""
	}
	return e.p.meta.Subject
}

// Attribute returns the attribute of that name.
func (e Event) Attribute(name string) (string, bool) {
	if e.p == nil {
		return "", false
	}
	for i := range e.p.attrs {
		if e.p.attrs[i].name == name {
			return e.p.attrs[i].value, true
		}
	}
	return "", false
}

// Attributes yields names and values, sorted by name.
func (e Event) Attributes() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if e.p == nil {
			return
		}
		for _, a := range e.p.attrs {
			if !yield(a.name, a.value) {
				return
			}
		}
	}
}

// Data is the payload as JSON, an object. It is shared and must not be modified; appending to it copies it.
func (e Event) Data() json.RawMessage {
	if e.p == nil {
		return nil
	}
	return e.p.data
}

// WithSource returns e when it has a source, otherwise a copy of it with the source s. An s that breaks the rules for
// [Meta].Source is not taken; check it with [Meta.Err] when it is configured.
func (e Event) WithSource(s string) Event {
	if e.p == nil || e.p.meta.Source != "" || s == "" || checkText("source", s) != nil {
		return e
	}
	m := e.p.meta
	m.Source = s
	return newEvent(e.p.typ, m, e.p.attrs, e.p.data)
}

// SameAs tells whether both are the same fact: id, type, tenant, subject and data are equal. Two events with the same id
// that are not the same fact are a mistake of the host.
func (e Event) SameAs(other Event) bool {
	if e.p == nil || other.p == nil || e.p == other.p {
		return e.p == other.p
	}
	a, b := e.p, other.p
	return a.meta.ID == b.meta.ID && a.typ == b.typ && a.meta.Tenant == b.meta.Tenant &&
		a.meta.Subject == b.meta.Subject && bytes.Equal(a.data, b.data)
}

// String returns the type and the id, never data.
func (e Event) String() string {
	if e.p == nil {
		return "no event"
	}
	return string(e.p.typ) + " " + e.p.meta.ID
}

// GoString is [Event.String], so that %#v shows no data either.
func (e Event) GoString() string { return "event.Event(" + e.String() + ")" }

// LogValue is [Event.String]; without it a JSON log handler would write the whole event.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }
