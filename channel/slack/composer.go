package slack

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// composer makes messages.
type composer struct {
	template *template.Template // nil = the built-in message
}

// body is the message about an event for the given place: the headline, or with a template what that makes.
func (c composer) body(ctx context.Context, n notice.Notice, p place) webhook.Body {
	return webhook.BodyFunc("", func(d channel.Delivery, _ []string) ([]byte, error) {
		if c.template == nil {
			return encode(newMessage(p, n, headline(n, d.Event.Type())))
		}
		out, err := c.template.Render(ctx, nil, d.Event.Decoded())
		switch {
		case err != nil:
			return nil, err
		case c.template.Mode() == template.JSON:
			return complete(out, newMessage(p, n, nil))
		case strings.TrimSpace(string(out)) == "":
			return nil, errors.New("the template made no text")
		}
		return encode(newMessage(p, n, paragraphs(string(out))))
	})
}

// reply is the message below a headline that has been brought up to date: in short, or what the template makes.
func (c composer) reply(ctx context.Context, n notice.Notice, p place) webhook.Body {
	if c.template != nil {
		return c.body(ctx, n, p)
	}
	return webhook.BodyFunc("", func(d channel.Delivery, _ []string) ([]byte, error) {
		return encode(newMessage(p, n, news(n, d.Event.Type())))
	})
}

// complete puts the fields of m into an object that a template made. Only where it goes is not the template's to say.
func complete(object []byte, m message) ([]byte, error) {
	var made, own map[string]json.RawMessage
	if err := json.Unmarshal(object, &made); err != nil || made == nil {
		return nil, errors.New("what the template made is not a JSON object")
	}
	fields, err := encode(m)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(fields, &own); err != nil {
		return nil, err
	}
	for _, name := range [...]string{"channel", "ts", "thread_ts", "reply_broadcast"} {
		delete(made, name)
	}
	for name, value := range own {
		if _, ok := made[name]; !ok {
			made[name] = value
		}
	}
	return encode(made)
}

// paragraphs makes sections of mrkdwn. Those that Slack would not take are cut off.
func paragraphs(s string) blocks {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
	for limit := maxBlockBytes; ; limit /= 2 {
		var b blocks
		for rest := cut(s, limit, "…"); rest != ""; {
			piece := cut(rest, maxText, "")
			if feed := strings.LastIndexByte(piece, '\n'); feed > 0 && len(piece) < len(rest) {
				piece = piece[:feed]
			}
			b = append(b, block{Type: "section", Text: mrkdwn(piece)})
			rest = strings.TrimLeftFunc(rest[len(piece):], unicode.IsSpace)
		}
		if b.fit() {
			return b
		}
	}
}

// cut returns mrkdwn of at most limit UTF-16 units, ending with mark if some had to go, and never in the middle of an
// entity or a link.
func cut(s string, limit int, mark string) string {
	short := notice.TruncateUTF16(s, limit)
	if short == s {
		return s
	}
	short = strings.TrimSuffix(short, "…")
	whole := short
	if open := strings.LastIndexByte(short, '<'); open > strings.LastIndexByte(short, '>') {
		whole = short[:open]
	}
	if amp := strings.LastIndexByte(whole, '&'); amp >= 0 && !strings.Contains(whole[amp:], ";") {
		whole = whole[:amp]
	}
	if whole == "" { // a link longer than a message
		whole = short
	}
	if whole == "" { // an accent after accent
		whole = strings.ToValidUTF8(s[:min(limit, len(s))], "")
	}
	return whole + mark
}

// broadcast reports whether a reply is shown to everybody in the channel: who does not follow the thread must not miss
// that somebody has to act.
func broadcast(n notice.Notice) bool {
	return n.Phase == notice.Opens || n.Severity >= notice.Error
}

// retold reports whether the news says how the whole subject stands, so that it can take the headline's place. Who came to
// a session is not what the session is about.
func retold(t event.Type) bool {
	return t != event.TypeSessionMemberJoined && t != event.TypeSessionMemberLeft
}
