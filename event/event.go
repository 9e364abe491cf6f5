// Package event holds the typed lifecycle events of privileged-access products: who asked for access, who decided,
// when it began and ended, what happened in sessions and alerts.
//
// A payload such as [RequestApproved] is a Go struct. [New] makes an [Event] out of it: an immutable value with an id,
// a time, a type and the payload encoded once, shared by all channels. [Filter] says which events a route wants;
// [Sample] and [Schema] show what each type looks like.
//
// # Limits
//
// A payload has at most 256 KiB as JSON ([MaxDataSize]). A longer text does not suppress an event: the
// longest texts are cut, with a mark where they end, and the event says so ("shortened" in its JSON form,
// [Event.Shortened]). An identifier that is too long, or a payload with too many values, is an [*InvalidError] of
// [New]. [Must] is for tests.
//
// # Other names
//
// A receiver may have words of its own for the types: a [Vocabulary] translates both ways. [Event.CorrelationID] names
// what an event is about, for destinations that group or close.
//
// # Tests
//
// [SampleForTest] makes an event to try a channel with, and [Event.ForTest] makes a test of an event that there is.
// Both are marked: whoever receives one reads TEST.
//
// # Compatibility
//
// The JSON form of events is part of the package's interface. Fields are only ever added, so receivers should ignore
// what they do not know. Hosts add types of their own by implementing [Payload], under any prefix but "tocsin.".
package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"log/slog"
	"maps"
	"strings"
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

// record leads to what all copies of an Event share. The second pointer keeps it out of logs: for a verb that does not
// fit, such as %s for a struct with an Event in an unexported field, fmt prints what a pointer in it points to, but
// follows no further one.
type record struct{ *shared }

// content is what an event consists of.
type content struct {
	typ       Type
	meta      Meta        // without Attributes; complete: id, time and subject are filled in
	attrs     []attribute // sorted by name
	data      json.RawMessage
	shortened []string // see Event.Shortened
	test      bool     // see Event.ForTest
}

// shared is the content with what is built from it on first use.
type shared struct {
	content
	self record // in here, so that an event is one allocation

	formOnce sync.Once
	form     json.RawMessage // the JSON form
	treeOnce sync.Once
	tree     map[string]any // the JSON form, decoded
}

// New makes an event out of a payload, which is encoded here, once, and not used afterwards. The error is an
// [*InvalidError]; a payload that panics while it is encoded is such an error too. It depends on the
// payload's type and size, never on what users wrote into its texts:
//
//   - Text that is not valid UTF-8, or half of a surrogate pair, is replaced by U+FFFD.
//   - If the encoded payload has more than [MaxDataSize] bytes, its longest texts are cut to one length, so that it
//     fits. They end in a mark, "…[N characters left out]", and [Event.Shortened] lists them. No text under 256 bytes
//     is cut. A payload that is too large all the same, by the number of its values, is an error.
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
	if err := typ.validate(); err != nil {
		return Event{}, err
	}
	if typ.isReserved() && !isCataloguePayload(typ, p) {
		return Event{}, &InvalidError{
			Field: "type", Problem: "begins with \"tocsin.\", which is reserved for the library's own events", Remedy: "use a prefix of your own",
		}
	}
	m = m.complete(p)
	attrs, cutAttributes, err := m.validate()
	if err != nil {
		return Event{}, err
	}
	data, cutTexts, err := encodePayload(p)
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
	s := &shared{content: c}
	s.self.shared = s
	return Event{p: &s.self}
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

// IsZero reports whether e is the zero Event.
func (e Event) IsZero() bool { return e.p == nil }

// meta leads to what is known besides the payload, to a zero Meta for the zero Event. It must not be modified.
func (e Event) meta() *Meta {
	if e.p == nil {
		return &Meta{}
	}
	return &e.p.meta
}

// ID identifies the event; it is the same in every delivery and redelivery.
func (e Event) ID() string { return e.meta().ID }

// Type says what kind of event it is.
func (e Event) Type() Type {
	if e.p == nil {
		return ""
	}
	return e.p.typ
}

// ForTest returns a copy of e for a test send: marked as a test, with a new id, and with the present time unless e is a
// test already. The mark is "test": true in the JSON form, [Event.IsTest] in Go and templates' variable test; channels
// show it as the word TEST. So nobody mistakes it for a real event, no receiver drops it as a repetition of an earlier
// test, and it has a correlation of its own (see [Event.CorrelationID]).
//
// To an Engine a test event is an event like any other: filters, queues, retries and history treat it as they would
// treat e. Only dedup does not: it is never suppressed, and suppresses nothing.
func (e Event) ForTest() Event {
	if e.p == nil {
		return e
	}
	c := e.p.content
	now := time.Now()
	c.meta.ID = newID(now)
	if !c.test {
		c.meta.Time = now
	}
	c.test = true
	return newEvent(c)
}

// IsTest reports whether e was made by [Event.ForTest] or [SampleForTest], here or before it was stored or sent.
func (e Event) IsTest() bool { return e.p != nil && e.p.test }

// Time is when it happened, in UTC, to the nanosecond.
func (e Event) Time() time.Time { return e.meta().Time }

// Source says where the event comes from; it may be empty.
func (e Event) Source() string { return e.meta().Source }

// Tenant is the customer the event belongs to; empty when it belongs to none.
func (e Event) Tenant() string { return e.meta().Tenant }

// Subject is what the event is about, for example a request's id; it may be empty.
func (e Event) Subject() string { return e.meta().Subject }

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
// [Meta].Source is ignored; validate it with [Meta.Validate] when it is configured.
func (e Event) WithSource(s string) Event {
	if e.p == nil || e.p.meta.Source != "" || s == "" || validateText("source", s) != nil {
		return e
	}
	c := e.p.content
	c.meta.Source = s
	return newEvent(c)
}

// SameAs reports whether both are the same fact: id, type, tenant, subject and data are equal. It is a mistake of
// the host to give one id to two facts.
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

// CorrelationID names what e is about, for destinations that update, group or close what they were sent before: the
// same text for all events of one subject of one tenant, and never the same for two subjects or two tenants, whatever
// these are called. An event without a subject, and each test event, has one of its own. The zero Event has none.
//
// It reads "tenant/subject", or "subject" without a tenant, in visible ASCII: every other character, and "/", "%" and
// "~" of a name, are percent-encoded. A digest behind a "~" takes the place of the rest of one that is longer than size
// bytes; size is at least 40. The digest also follows a tenant with upper-case letters, because some destinations
// ignore case.
func (e Event) CorrelationID(size int) string {
	if e.p == nil {
		return ""
	}
	tenant := escapeName(e.p.meta.Tenant)
	subject := escapeName(e.p.meta.Subject)
	if e.p.test || subject == "" {
		subject = "/" + e.p.meta.ID // which no encoded subject is
	}
	id := subject
	if tenant != "" || subject[0] == '/' {
		id = tenant + "/" + subject
	}
	if len(id) <= size && tenant == strings.ToLower(tenant) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	digest := "~" + hex.EncodeToString(sum[:16])
	return id[:max(min(len(id), size-len(digest)), 0)] + digest
}

// escapeName percent-encodes what would end a name of a correlation id, or is not visible ASCII.
func escapeName(s string) string {
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '/' || c == '%' || c == '~' {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// InvalidError says what is wrong with an event, its JSON form or a filter. Of an event its text shows at most the type
// and names of attributes and fields, never a value; what a filter was made from is configuration and is shown.
type InvalidError struct {
	Field   string // what is wrong, for example "id", "attributes.external_key" or "patterns[2]"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *InvalidError) Error() string {
	return "event: " + e.Field + " " + e.Problem + "; " + e.Remedy
}
