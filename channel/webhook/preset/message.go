package preset

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf16"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
)

// message is what a body is built from: an event in words.
type message struct {
	notice.Notice
	event   event.Event
	id      string   // of the delivery, the same for all attempts
	secrets []string // in the order given to body
}

const (
	longest  = 4000 // of a text, as package notice has it
	shortest = 15   // a text cut to that says nothing
)

// body is JSON of what build returns, at most size bytes long: texts are shortened until it fits.
func body(size int, build func(m message) any, secrets ...secret.Value) webhook.Body {
	return webhook.BodyFunc("", func(d channel.Delivery, secrets []string) (b []byte, err error) {
		for n := range shorter(notice.Of(d.Event)) {
			if b, err = encode(build(message{n, d.Event, d.ID(), secrets})); err != nil || len(b) <= size {
				break
			}
		}
		return b, err
	}, secrets...)
}

// prose is n as plain text after change, at most size UTF-16 units long: texts are shortened, so that the link at the
// end stays.
func prose(n notice.Notice, size int, change func(string) string) (s string) {
	for n := range shorter(n) {
		if s = change(n.Text()); units(s) <= size {
			break
		}
	}
	return notice.TruncateUTF16(s, size)
}

// shorter yields n and then n with ever shorter texts.
func shorter(n notice.Notice) iter.Seq[notice.Notice] {
	return func(yield func(notice.Notice) bool) {
		for limit := longest; limit > shortest && yield(shortened(n, limit)); limit /= 2 {
		}
	}
}

// shortened returns n with no text but the title longer than limit: there is always room for the title.
func shortened(n notice.Notice, limit int) notice.Notice {
	n.Summary = notice.Truncate(n.Summary, limit)
	facts := make([]notice.Fact, len(n.Facts))
	for i, f := range n.Facts {
		f.Label = notice.Truncate(f.Label, limit)
		f.Value = notice.Truncate(f.Value, limit)
		facts[i] = f
	}
	n.Facts = facts
	return n
}

// encode is JSON without the escapes for HTML, so that what people see in a receipt is what the event says.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// source says where the event comes from.
func (m message) source() string {
	if s := m.event.Source(); s != "" {
		return s
	}
	return "tocsin"
}

// good tells whether the news is the good end of a story or a step towards it.
func good(n notice.Notice) bool {
	return n.Severity == notice.Info && (n.Phase == notice.Closes || n.Phase == notice.Updates)
}

// units counts UTF-16 units, as JavaScript does; there are never fewer than runes.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}
