package preset

import (
	"bytes"
	"encoding/json"
	"html"
	"iter"
	"strings"
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

// isGood reports whether the news is the good end of a lifecycle or a step towards it.
func isGood(n notice.Notice) bool {
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

// page is n as a small HTML document that mail programs of all ages can show.
func page(n notice.Notice) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html><body style="font-family:sans-serif"><h2>` + text(n.Title) + `</h2><p>` + text(n.Summary) + `</p><table cellpadding="4">`)
	for _, f := range n.Facts {
		b.WriteString(`<tr><th align="left" valign="top">` + text(f.Label) + `</th><td>` + text(f.Value) + `</td></tr>`)
	}
	b.WriteString(`</table>`)
	if n.Link != "" {
		b.WriteString(`<p><a href="` + html.EscapeString(n.Link) + `">` + text(n.LinkText) + `</a></p>`)
	}
	b.WriteString(`</body></html>`)
	return b.String()
}

// text is s as the content of an element.
func text(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>")
}

// maxLines bounds what a text of nothing but line feeds makes of a message.
const maxLines = 20

// lines splits s into its lines that are not empty, at most maxLines: the last then holds the rest.
func lines(s string) []string {
	var all []string
	for l := range strings.SplitSeq(s, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			all = append(all, l)
		}
	}
	if len(all) > maxLines {
		all = append(all[:maxLines-1:maxLines-1], strings.Join(all[maxLines-1:], " "))
	}
	return all
}
