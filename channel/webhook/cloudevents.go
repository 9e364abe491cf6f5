package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

// CloudEventsOptions say how events become CloudEvents.
type CloudEventsOptions struct {
	// Source is the attribute source of events that have none of their own: a URI reference, at best the product's
	// absolute URI, such as "https://pam.example/eu". Required.
	Source string
	// Binary sends the attributes as ce-… headers and the data alone as the body. The default is the structured mode:
	// all of it in one JSON document, which is the safer choice: some receivers' libraries do not undo the
	// percent-encoding that the specification asks for in headers, and show "a b" as "a%20b".
	Binary bool
	// Attributes lists the event attributes that become extension attributes, under their names in lower case without
	// what is not a letter or digit. nil = all that an event has. Two names that become the same, or one that becomes
	// that of an attribute which is set anyway (see [CloudEvents]), are an error of [New]; without a list the later one
	// in the order of the names, or the one that is not free, gets an "x" before its name.
	Attributes []string
}

// CloudEvents is the CloudEvents 1.0 form of an event: id, type, subject and time are the event's, source is the
// event's or that of the options, data is its data, and its tenant is the extension attribute tenant. A test event
// (event.Event.ForTest) has the extension attribute test. Values are written as the specification's strings, with
// blanks for the characters those must not have, and those without anything else are left out.
//
// See https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents, the JSON event format and the HTTP protocol binding.
func CloudEvents(o CloudEventsOptions) Body {
	o.Attributes = slices.Clone(o.Attributes)
	return Body{source: &cloudEvents{o}}
}

type cloudEvents struct{ options CloudEventsOptions }

func (b *cloudEvents) kind() string { return "CloudEvents" }

func (b *cloudEvents) contentType() (string, bool) {
	if b.options.Binary {
		return jsonType, true
	}
	return "application/cloudevents+json; charset=utf-8", true // the JavaScript SDK takes it in this very form only
}

func (b *cloudEvents) validate(string) error {
	var errs []error
	if b.options.Source == "" {
		errs = append(errs, configError(channel.CodeMissing, "Body", "is CloudEvents without a source", "set it, for example to the product's address"))
	} else if uriReference(b.options.Source) != b.options.Source {
		errs = append(errs, configError(channel.CodeInvalid, "Body", "is CloudEvents with a source that is not a URI reference", "percent-encode what is special in it"))
	}
	names := make(map[string]bool)
	for _, given := range b.options.Attributes {
		name := attributeName(given)
		if problem := problemOf(name, names[name]); problem != "" {
			errs = append(errs, configError(channel.CodeInvalid, "Body", "is CloudEvents with an attribute that "+problem, "rename or leave it out"))
		}
		names[name] = true
	}
	return errors.Join(errs...)
}

// attributeName reduces a name to what CloudEvents allow.
func attributeName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

// problemOf says why an event's attribute cannot become the extension attribute of the given reduced name, or "".
func problemOf(name string, repeated bool) string {
	switch {
	case name == "":
		return "has no letter or digit in its name"
	case repeated:
		return "has the name of another one, when both are reduced to lower-case letters and digits"
	case slices.Contains([]string{
		"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "database64", "tenant",
		testMark,
	}, name):
		return "has the name of an attribute of CloudEvents themselves, when it is reduced to lower-case letters and digits"
	}
	return ""
}

// ceAttribute is one attribute of a CloudEvent.
type ceAttribute struct{ name, value string }

// attributes lists those of e, extensions last, sorted by name.
func (b *cloudEvents) attributes(e event.Event) []ceAttribute {
	source := b.options.Source
	if e.Source() != "" {
		source = uriReference(e.Source())
	}
	all := []ceAttribute{
		{"specversion", "1.0"},
		{"id", e.ID()},
		{"source", source},
		{"type", string(e.Type())},
		{"subject", ceString(e.Subject())},
		{"time", e.Time().Format(time.RFC3339Nano)},
		{"tenant", ceString(e.Tenant())},
	}
	if e.IsTest() {
		all = append(all, ceAttribute{testMark, "true"})
	}
	fixed := len(all)
	given := maps.Collect(e.Attributes())
	for _, old := range slices.Sorted(maps.Keys(given)) {
		if b.options.Attributes != nil && !slices.Contains(b.options.Attributes, old) {
			continue
		}
		name := attributeName(old)
		for problemOf(name, slices.ContainsFunc(all[fixed:], func(a ceAttribute) bool { return a.name == name })) != "" {
			name = "x" + name
		}
		all = append(all, ceAttribute{name, ceString(given[old])})
	}
	slices.SortFunc(all[fixed:], func(a, b ceAttribute) int { return strings.Compare(a.name, b.name) })
	return slices.DeleteFunc(all, func(a ceAttribute) bool { return strings.TrimSpace(a.value) == "" })
}

func (*cloudEvents) mayHoldSecrets(fromEvent bool) bool { return fromEvent }

func (b *cloudEvents) render(_ context.Context, in bodyInput, r *rendered) error {
	e := in.delivery.Event
	b.write(e, r)
	if over := len(r.body) - in.limit; over > 0 {
		b.write(shortEvent(e, len(e.JSON())-over), r)
	}
	return nil
}

// write makes the CloudEvent of e.
func (b *cloudEvents) write(e event.Event, r *rendered) {
	attributes := b.attributes(e)
	if b.options.Binary {
		r.body = e.Data()
		r.headers = make([]bodyHeader, len(attributes))
		for i, a := range attributes {
			r.headers[i] = bodyHeader{http.CanonicalHeaderKey(cePrefix + a.name), [1]string{percentEncoded(a.value)}}
		}
		return
	}
	body := make([]byte, 0, 512+len(e.Data()))
	body = append(body, '{')
	for _, a := range attributes {
		body = append(body, '"')
		body = append(body, a.name...)
		body = append(body, '"', ':')
		value, _ := json.Marshal(a.value) // a string can always be encoded
		body = append(append(body, value...), ',')
	}
	body = append(body, `"datacontenttype":"application/json","data":`...)
	body = append(body, e.Data()...)
	r.body = append(body, '}')
}

// cePrefix is that of the headers in binary mode.
const cePrefix = "Ce-"

// ceString returns s without the characters that a CloudEvents string must not have: controls, and code points that are
// no characters.
func ceString(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe {
			return ' '
		}
		return r
	}, s)
}

// percentEncoded writes a value for a header, as section 3.1.3.2 of the HTTP binding says.
func percentEncoded(s string) string {
	return encodeBytes(s, func(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' })
}

// uriReference returns s if it is a URI reference (RFC 3986 section 4.1), else one that stands for the same text.
func uriReference(s string) string {
	allowed := encodeBytes(s, func(c byte) bool { return unreserved(c) || strings.IndexByte("%:/?#[]@!$&'()*+,;=", c) >= 0 })
	if _, err := url.Parse(allowed); err == nil && allowed == s {
		return s
	}
	return encodeBytes(s, unreserved)
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// encodeBytes percent-encodes the bytes of s that are not kept.
func encodeBytes(s string, keep func(byte) bool) string {
	const digits = "0123456789ABCDEF"
	first := 0
	for first < len(s) && keep(s[first]) {
		first++
	}
	if first == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(3 * len(s))
	b.WriteString(s[:first])
	for i := first; i < len(s); i++ {
		if c := s[i]; keep(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
