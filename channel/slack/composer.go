package slack

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
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
	timeout  time.Duration      // for the template
	logger   *slog.Logger
}

// builtIn makes the messages that need no template.
func (c composer) builtIn() composer { return composer{logger: c.logger} }

// body is the message about an event for the given place: the headline, or with a template what that makes. When the
// event has too much or nothing for the template, or makes it fail, it is the headline as well; a test event gets the
// error of a template that failed, since its author waits to correct it.
func (c composer) body(ctx context.Context, n notice.Notice, p place) webhook.Body {
	return webhook.BodyFunc("", func(d channel.Delivery, _ []string) ([]byte, error) {
		if c.template != nil {
			made, err := c.render(ctx, d, newMessage(p, n, nil))
			late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
			switch {
			case err != nil && (late || d.Event.IsTest()), made != nil:
				return made, err
			case err != nil:
				c.logger.WarnContext(ctx, "slack posts an event in the built-in form, because its template failed",
					"route", d.Route.Name, "tenant", d.Route.Tenant, "event", d.Event.ID(), "error", err)
			}
		}
		return encode(newMessage(p, n, headline(n, d.Event.Type())))
	})
}

// render returns what the template makes of m; nil = nothing that can be sent.
func (c composer) render(ctx context.Context, d channel.Delivery, m message) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.template.Render(limited, nil, d.Event.Decoded())
	switch {
	case exceedsLimits(err):
		return nil, nil
	case err != nil:
		return nil, err
	case c.template.Mode() == template.JSON:
		made, dropped, err := withFields(out, m, d.Event)
		if len(dropped) > 0 {
			c.logger.WarnContext(ctx, "slack leaves out what a template has no say in", "route", d.Route.Name, "tenant", d.Route.Tenant, "fields", dropped)
		}
		return made, err
	case strings.TrimSpace(string(out)) == "":
		return nil, nil
	}
	if d.Event.IsTest() {
		out = append([]byte(notice.TestLine+"\n"), out...)
	}
	m.Blocks = paragraphs(string(out))
	return encode(m)
}

// exceedsLimits reports whether a template exceeded its limits, which is up to the event's data.
func exceedsLimits(err error) bool {
	r, ok := errors.AsType[*template.RenderError](err)
	return ok && (r.Kind == template.KindSize || r.Kind == template.KindSteps)
}

// reply is the message below a headline that has been brought up to date: in short, or what the template makes.
func (c composer) reply(ctx context.Context, n notice.Notice, p place) webhook.Body {
	if c.template != nil {
		return c.body(ctx, n, p)
	}
	return webhook.BodyFunc("", func(d channel.Delivery, _ []string) ([]byte, error) {
		return encode(newMessage(p, n, replyBlocks(n, d.Event.Type())))
	})
}

// withFields puts the fields of m into an object that a template made of e; nil = it made null. Only where it goes is
// not the template's to say, what said so is left out.
func withFields(object []byte, m message, e event.Event) (whole []byte, dropped []string, err error) {
	var made, own map[string]json.RawMessage
	if err := json.Unmarshal(object, &made); err != nil {
		return nil, nil, errors.New("what the template made is not a JSON object")
	}
	if made == nil {
		return nil, nil, nil
	}
	fields, err := encode(m)
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(fields, &own); err != nil {
		return nil, nil, err
	}
	dropped = placementFields(made)
	for _, name := range dropped {
		delete(made, name)
	}
	var text string
	if json.Unmarshal(made["text"], &text) == nil && strings.TrimSpace(text) == "" {
		delete(made, "text") // null, or nothing to be read
	}
	if e.IsTest() {
		if err := markTest(made, e); err != nil {
			return nil, nil, err
		}
	}
	for name, value := range own {
		if _, ok := made[name]; !ok {
			made[name] = value
		}
	}
	whole, err = encode(made)
	return whole, dropped, err
}

// markTest says in an object that a template made that e is a test: before its text, and above its blocks as far as
// there is room for one more.
func markTest(made map[string]json.RawMessage, e event.Event) error {
	var text string
	if json.Unmarshal(made["text"], &text) == nil {
		marked, err := encode(notice.MarkTest(e, text))
		if err != nil {
			return err
		}
		made["text"] = marked
	}
	var list []json.RawMessage
	_ = json.Unmarshal(made["blocks"], &list) // stays empty when it is no list
	if len(list) == 0 || len(list) >= maxBlocks {
		return nil
	}
	first, err := encode(block{Type: "section", Text: plain(notice.TestLine, maxText)})
	if err != nil || len(first)+len(made["blocks"]) > maxBlockBytes {
		return err
	}
	made["blocks"], err = encode(slices.Insert(list, 0, json.RawMessage(first)))
	return err
}

// placementFields are the fields of a message that say where it goes.
func placementFields(object map[string]json.RawMessage) (fields []string) {
	for _, name := range [...]string{"channel", "ts", "thread_ts", "reply_broadcast"} {
		if _, ok := object[name]; ok {
			fields = append(fields, name)
		}
	}
	return fields
}

// trialTimeout is for rendering a template without an event and with the samples.
const trialTimeout = 200 * time.Millisecond

// templatePlacement returns what a template for JSON says about where a message goes, as far as it shows without an
// event: it would be left out, and the message land elsewhere.
func templatePlacement(t *template.Template) []string {
	ctx, cancel := context.WithTimeout(context.Background(), trialTimeout)
	defer cancel()
	datas := []map[string]any{{}}
	for _, typ := range []event.Type{event.TypeRequestPending, event.TypeRequestBreakGlass, event.TypeGrantActive, event.TypeSessionStarted} {
		if e, ok := event.Sample(typ); ok {
			datas = append(datas, e.Decoded())
		}
	}
	for _, data := range datas {
		var made map[string]json.RawMessage
		if out, err := t.Render(ctx, nil, data); err == nil && json.Unmarshal(out, &made) == nil {
			if fields := placementFields(made); len(fields) > 0 {
				return fields
			}
		}
	}
	return nil
}

// paragraphs makes sections of mrkdwn. Those that Slack would not take are cut off.
func paragraphs(s string) blocks {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
	for limit := maxBlockBytes; ; limit /= 2 {
		var b blocks
		for rest := truncateMrkdwn(s, limit, "…"); rest != ""; {
			piece := truncateMrkdwn(rest, maxText, "")
			if feed := strings.LastIndexByte(piece, '\n'); feed > 0 && len(piece) < len(rest) {
				piece = piece[:feed]
			}
			b = append(b, block{Type: "section", Text: mrkdwn(piece)})
			rest = strings.TrimLeftFunc(rest[len(piece):], unicode.IsSpace)
		}
		if b.fits() {
			return b
		}
	}
}

// truncateMrkdwn returns mrkdwn of at most limit UTF-16 units, ending with mark if some had to go, and never in the
// middle of an entity or a link.
func truncateMrkdwn(s string, limit int, mark string) string {
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

// updatesHeadline reports whether the news says the state of the whole subject, so that it can replace the headline.
// Who came to a session is not what the session is about.
func updatesHeadline(t event.Type) bool {
	return t != event.TypeSessionMemberJoined && t != event.TypeSessionMemberLeft
}

// send posts what the composer makes, and the built-in message when Slack does not take what its template makes: no
// data of an event may keep it from being posted.
func (c composer) send(ctx context.Context, d channel.Delivery, method *webhook.Channel, body func(composer) webhook.Body) (channel.Receipt, error) {
	r, err := method.SendWith(ctx, d, body(c))
	if c.template == nil || !contentRefused(reasonOf(err)) {
		return r, err
	}
	c.logger.WarnContext(ctx, "slack does not take what the template makes", "route", d.Route.Name, "tenant", d.Route.Tenant, "event", d.Event.ID(), "reason", reasonOf(err))
	before := r.Duration
	r, err = method.SendWith(ctx, d, body(c.builtIn()))
	r.Duration += before
	return r, err
}

// reasonOf is Slack's word for an error; "" = there is none.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*webhook.Error](err); ok {
		return e.Reason
	}
	return ""
}
