package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// WebhookConfig describes an incoming webhook. Printing one shows the URL's origin only; but package fmt cannot know
// this of a WebhookConfig inside an unexported field of another struct.
type WebhookConfig struct {
	// URL is the webhook's, https://hooks.slack.com/services/…. Required. Whoever knows it can post, so its path is
	// treated as a secret, unless it has Masks.
	URL string
	// Masks are up to 10 secret parts of URL, see webhook.Config: {Replacement: "{hook}", Value:
	// secret.Env("SLACK_HOOK")} for a URL of https://hooks.slack.com/services/{hook}.
	Masks []secret.Mask
	Options
}

// Webhook posts to the one channel that an incoming webhook belongs to. Each event is a message of its own, since Slack
// does not say which message it made. Make it with [NewWebhook]. It is safe for concurrent use and printed without its
// configuration.
type Webhook struct {
	hook     *webhook.Channel
	composer composer
	pacer    pacer
}

var _ channel.Channel = (*Webhook)(nil)

// NewWebhook makes a Webhook. The error joins a *channel.ConfigError for every problem found.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	c.Options = c.withDefaults()
	hook, err := webhook.New(c.withConnection(webhook.Config{URL: c.URL, Masks: c.Masks, Interpret: c.read}))
	if err := errors.Join(c.validate(), channel.ConfigErrorsAt(err, pkg, "")); err != nil {
		return nil, err
	}
	return &Webhook{hook: hook, composer: c.composer(), pacer: pacer{interval: c.Interval}}, nil
}

// read is readHook, but for a URL with masks whose values can change: Slack may know it no more because it was rotated.
func (c WebhookConfig) read(a webhook.Response, v retry.Verdict) webhook.Reading {
	r := readHook(a, v)
	if !r.Gone || !unknownHook(r.Reason) {
		return r
	}
	for _, m := range c.Masks {
		if m.Value.Source() != "literal" {
			m.Value.Expire()
			r.Verdict, r.Gone = retry.VerdictTransient, false
		}
	}
	return r
}

// Send posts one message. A 2xx is a success unless it says in one of Slack's words, or as {"ok":false} or
// {"success":false}, that it is none, or is a page in HTML: servers with Slack's interface answer "ok", other words,
// JSON or nothing. Errors are *webhook.Error values with Slack's own word as their Reason, and [ErrPaced]. They are
// permanent when Slack does not take this message, channel.ErrGone when the webhook, its channel or its workspace is no
// more (but not the webhook when Masks come from a source that can change, which is asked again), and worth another
// attempt otherwise, not before the time Slack names. OutcomeUnknown is set in the receipt when the message may have
// been posted nevertheless.
func (w *Webhook) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if d.Event.IsZero() {
		return w.hook.Send(ctx, d) // which says so
	}
	if wait := w.pacer.admit(time.Now(), isUrgent(d.Event)); wait > 0 {
		return channel.Receipt{}, retry.Postpone(ErrPaced, wait)
	}
	n := notice.Of(d.Event)
	r, err := w.composer.send(ctx, d, w.hook, func(c composer) webhook.Body { return c.body(ctx, n, place{}) })
	w.pacer.pauseAfter(ctx, err, time.Now())
	return r, err
}

// Close closes the connections that no other channel shares and makes later Sends fail. Call it when no Send is running
// any more. It returns nil.
func (w *Webhook) Close() error { return w.hook.Close() }

// Destination is the origin of the hook's URL.
func (w *Webhook) Destination() string { return w.hook.Destination() }

// Format prints the URL's origin only, whatever the verb.
func (w *Webhook) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "slack.Webhook(%v)", w.hook) }

// Format prints the URL's origin only, whatever the verb.
func (c WebhookConfig) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints; without it a JSON log handler would write the whole configuration.
func (c WebhookConfig) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c WebhookConfig) outline() string {
	return fmt.Sprintf("slack.WebhookConfig(%v)", webhook.Config{URL: c.URL, Masks: c.Masks, Limits: c.Limits})
}
