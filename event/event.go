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

// content is what an event consists of.
type content struct {
	typ       Type
	meta      Meta        // without Attributes; complete: id, time and subject are filled in
	attrs     []attribute // sorted by name
	data      json.RawMessage
	shortened []string // see Event.Shortened
	test      bool     // see Event.ForTest
}

type facts struct {
	content

	formOnce sync.Once
	form     json.RawMessage // the JSON form
	treeOnce sync.Once
	tree     map[string]any // the JSON form, decoded
}

// New makes an event out of a payload, which is encoded here, once, and not used afterwards. The error is an
// [*InvalidError]; a payload that panics while it is encoded is such an error too. It depends on what the program makes
// of the payload, never on what somebody wrote into it:
//
//   - Text that is not valid UTF-8, or half of a surrogate pair, gets U+FFFD in its place.
//   - If the encoded payload has more than [MaxDataSize] bytes, its longest texts are cut to one length, so that it fits. They
//     end in a mark, "…[N characters left out]", and [Event.Shortened] lists them. No text under 256 bytes is cut. A payload
//     that is too large all the same, by the number of its values, is an error.
//   - An attribute's value of more than 1,024 bytes is cut in the same way.
//
// The types "tocsin.*" are reserved for the payloads of this package.
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
	if typ.own() && !isOwnPayload(typ, p) {
		return Event{}, &InvalidError{
			Field: "type", Problem: "begins with \"tocsin.\", which is reserved for the library's own events", Remedy: "use a prefix of your own",
		}
	}
	m = m.complete(p)
	attrs, cutAttributes, err := m.check()
	if err != nil {
		return Event{}, err
	}
	data, cutTexts, err := encode(p)
	if err != nil {
		return Event{}, err
	}
	return newEvent(content{typ: typ, meta: m, attrs: attrs, data: data, shortened: mergeNames(cutTexts, cutAttributes)}), nil
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

func newEvent(c content) Event {
	c.meta.Attributes = nil         // attrs has them
	c.meta.Time = c.meta.Time.UTC() // and without a monotonic clock reading
	both := &struct {               // one allocation
		record
		f facts
	}{f: facts{content: c}}
	both.record.facts = &both.f
	return Event{p: &both.record}
}

// Must is [New] for constant payloads in tests. It panics on an error, so it is not for payloads that hold anything
// from outside the program.
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

// ForTest returns a copy of e for a test send: with a new id and the present time, and marked as a test. The mark is
// "test": true in the JSON form, [Event.IsTest] in Go, and what package notice writes in front of it for people. So
// nobody takes it for news, and no receiver for a repetition of an earlier test.
func (e Event) ForTest() Event {
	if e.p == nil {
		return e
	}
	c := e.p.content
	c.meta.Time = time.Now()
	c.meta.ID = newID(c.meta.Time)
	c.test = true
	return newEvent(c)
}

// IsTest tells whether e was made by [Event.ForTest], here or before it was stored or sent.
func (e Event) IsTest() bool { return e.p != nil && e.p.test }

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
// [Meta].Source is not taken; check it with [Meta.Validate] when it is configured.
func (e Event) WithSource(s string) Event {
	if e.p == nil || e.p.meta.Source != "" || s == "" || checkText("source", s) != nil {
		return e
	}
	c := e.p.content
	c.meta.Source = s
	return newEvent(c)
}

// SameAs tells whether both are the same fact: id, type, tenant, subject and data are equal. Two events with the same
// id that are not the same fact are a mistake of the host.
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
