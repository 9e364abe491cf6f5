package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Bot posts to one channel as a Slack app, with chat.postMessage and chat.update.
//
// Everything about one subject, a request for example, stays together: the first event is a message, and each later one
// brings that message up to date, so that it always shows the current state, and replies to it with what is new. A
// reply that calls for action is shown in the channel as well. An event that arrived late, and news about who is in a
// session, only reply. When the message is gone or takes no replies, the event is a message of its own and later ones
// follow that. Events without a subject, or that belong to no lifecycle, are messages of their own.
//
// This needs the events of a subject in their order: set Order of the route to BySubject. With another order two events
// may both become the first.
//
// Delivery is at least once. A delivery that was posted and comes again brings the message up to date and says nothing
// new; only when a response of Slack's was lost may a message appear twice.
//
// Make it with [NewBot]. It is safe for concurrent use and printed without its configuration.
type Bot struct {
	post, update, test *webhook.Channel
	channel            string
	separate           bool
	references         References
	token              secret.Value
	composer           composer
	pacer              pacer
	logger             *slog.Logger
}

var (
	_ channel.Channel = (*Bot)(nil)
	_ channel.Checker = (*Bot)(nil)
)

// NewBot makes a Bot. The error joins a *channel.ConfigError for every problem found. Whether Slack knows token and
// channel shows when they are used; ask Check about the token.
func NewBot(c BotConfig) (*Bot, error) {
	c = c.withDefaults()
	post, err := webhook.New(c.method("chat.postMessage"))
	if err := errors.Join(c.validate(), renamed(err)); err != nil {
		return nil, err
	}
	b := &Bot{
		post: post, channel: c.Channel, separate: c.Separate, references: c.References, token: c.Token,
		composer: c.composer(), pacer: pacer{interval: c.Interval}, logger: c.Logger,
	}
	if c.TLS.InsecureSkipVerify {
		c.Logger = slog.New(slog.DiscardHandler) // one warning about it is enough
	}
	if b.update, err = webhook.New(c.method("chat.update")); err != nil {
		return nil, err
	}
	if b.test, err = webhook.New(c.method("auth.test")); err != nil {
		return nil, err
	}
	return b, nil
}

// Send posts one event. Errors are *webhook.Error values with Slack's own word as their Reason, and [ErrPaced]. They
// are permanent when Slack does not take this message, channel.ErrGone when the channel is no more, and worth another
// attempt otherwise, not before the time Slack names. After one about the token, that is read again. OutcomeUnknown is
// set in the receipt when the message may have been posted nevertheless.
//
// The receipt shows the last request that was made; ProviderID is the id (ts) of the message it made or changed.
func (b *Bot) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if d.Event.IsZero() {
		return b.post.Send(ctx, d) // which says so
	}
	if wait := b.pacer.admit(time.Now(), isUrgent(d.Event)); wait > 0 {
		return channel.Receipt{}, retry.Postpone(ErrPaced, wait)
	}
	n := notice.Of(d.Event)
	if b.separate || n.Phase == notice.Standalone || d.Event.Subject() == "" {
		return b.call(ctx, d, b.post, b.headline(ctx, n, place{Channel: b.channel}))
	}
	k := Key{Tenant: d.Event.Tenant(), Route: d.Route.String(), Channel: b.channel, Subject: d.Event.Subject()}
	ref, found, err := b.references.Get(ctx, k)
	if err != nil {
		// A message of its own is better than none.
		b.logger.WarnContext(ctx, "slack cannot read the reference to a message", "route", d.Route.Name, "tenant", d.Route.Tenant, "error", err)
	}
	if !found || err != nil {
		return b.postFirst(ctx, d, n, k)
	}
	return b.followUp(ctx, d, n, k, ref)
}

// postFirst posts the first message about a subject.
func (b *Bot) postFirst(ctx context.Context, d channel.Delivery, n notice.Notice, k Key) (channel.Receipt, error) {
	r, err := b.call(ctx, d, b.post, b.headline(ctx, n, place{Channel: b.channel}))
	if err == nil && r.ProviderID != "" {
		b.storeReference(ctx, k, Reference{TS: r.ProviderID, Delivery: deliveryID(d), Time: d.Event.Time()})
	}
	return r, err
}

// followUp updates the message of a subject and replies to it with what is new.
func (b *Bot) followUp(ctx context.Context, d channel.Delivery, n notice.Notice, k Key, ref Reference) (channel.Receipt, error) {
	r := channel.Receipt{ProviderID: ref.TS, Skipped: true}
	if updatesHeadline(d.Event.Type()) && !d.Event.Time().Before(ref.Time) {
		var err error
		r, err = b.call(ctx, d, b.update, b.headline(ctx, n, place{Channel: b.channel, TS: ref.TS}))
		switch reason := reasonOf(err); {
		case headlineGone(reason):
			return b.postFirst(ctx, d, n, k)
		case err != nil && !notEditable(reason):
			return r, err
		}
	}
	if ref.Delivery == deliveryID(d) {
		return r, nil
	}
	before := r.Duration
	at := place{Channel: b.channel, Thread: ref.TS, Broadcast: broadcast(n)}
	r, err := b.call(ctx, d, b.post, func(c composer) webhook.Body { return c.reply(ctx, n, at) })
	r.Duration += before
	switch {
	case headlineGone(reasonOf(err)):
		return b.postFirst(ctx, d, n, k)
	case err == nil:
		if ref.Delivery = deliveryID(d); d.Event.Time().After(ref.Time) {
			ref.Time = d.Event.Time()
		}
		b.storeReference(ctx, k, ref)
	}
	return r, err
}

// storeTimeout is for storing a reference when there is no time left: without it the thread would fall apart.
const storeTimeout = time.Second

// storeReference stores a reference. It is too late for an error: the message has been posted, and trying again would
// repeat it.
func (b *Bot) storeReference(ctx context.Context, k Key, ref Reference) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := b.references.Put(ctx, k, ref); err != nil {
		id := channel.ParseRouteID(k.Route)
		b.logger.WarnContext(ctx, "slack cannot store the reference to a message", "route", id.Name, "tenant", id.Tenant, "error", err)
	}
}

// headline is the body of the message that represents its subject.
func (b *Bot) headline(ctx context.Context, n notice.Notice, at place) func(composer) webhook.Body {
	return func(c composer) webhook.Body { return c.body(ctx, n, at) }
}

func (b *Bot) call(ctx context.Context, d channel.Delivery, method *webhook.Channel, body func(composer) webhook.Body) (channel.Receipt, error) {
	r, err := b.composer.send(ctx, d, method, body)
	b.pacer.pauseAfter(ctx, err, time.Now())
	b.expireToken(err)
	return r, err
}

// expireToken makes the next attempt read the token again when Slack refuses it: it may have been rotated.
func (b *Bot) expireToken(err error) {
	if unauthorized(reasonOf(err)) {
		b.token.Expire()
	}
}

// deliveryID names a delivery; one that was made again on purpose has another name.
func deliveryID(d channel.Delivery) string {
	if d.Generation == 0 {
		return d.ID()
	}
	return d.ID() + "." + strconv.FormatInt(d.Generation, 10)
}

// Check implements channel.Checker: it asks Slack with auth.test whether the token is good. It says nothing about the
// channel.
func (b *Bot) Check(ctx context.Context) error {
	_, err := b.test.SendWith(ctx, channel.Delivery{}, webhook.StaticBody([]byte("{}")))
	b.expireToken(err)
	return err
}

// Close closes the connections that no other channel shares and makes later Sends fail. Call it when no Send is running
// any more. It returns nil.
func (b *Bot) Close() error { return errors.Join(b.post.Close(), b.update.Close(), b.test.Close()) }

// Destination is the origin of Slack's API.
func (b *Bot) Destination() string { return b.post.Destination() }

// Format prints where the Bot posts, whatever the verb.
func (b *Bot) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "slack.Bot(%s, %v)", b.channel, b.post)
}

// Format prints the channel only, whatever the verb.
func (c BotConfig) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints.
func (c BotConfig) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c BotConfig) outline() string {
	if !isChannelID(c.Channel) {
		return "slack.BotConfig(invalid channel)"
	}
	return "slack.BotConfig(" + c.Channel + ")"
}

// BotConfig describes a Slack app's access to one channel. Printing one shows the channel only.
type BotConfig struct {
	// Token is the app's bot token, xoxb-…, with the scope chat:write. Required.
	Token secret.Value
	// Channel is the id of a channel or a conversation the app is a member of, such as C024BE91L: Slack shows it at the
	// end of "About this channel". Not a name, which can change and which chat.update does not take. Required.
	Channel string
	// API is where the Web API's methods are. Empty = https://slack.com/api; GovSlack has https://slack-gov.com/api.
	API string
	// Separate makes each event a message of its own.
	Separate bool
	// References remembers the first message about each subject. nil = a [Memory] of its own.
	References References
	Options
}

const defaultAPI = "https://slack.com/api"

func (c BotConfig) withDefaults() BotConfig {
	c.Options = c.Options.withDefaults()
	if c.API == "" {
		c.API = defaultAPI
	}
	if c.References == nil {
		c.References = NewMemory(MemoryOptions{})
	}
	return c
}

// validate returns every problem besides those of the connection and of what API and Token hold.
func (c BotConfig) validate() error {
	errs := []error{c.Options.validate()}
	if c.Token.IsZero() {
		errs = append(errs, configError(channel.CodeMissing, "Token", "is empty", "give the app's bot token, which begins with xoxb-"))
	}
	if !isChannelID(c.Channel) {
		code := channel.CodeInvalid
		if c.Channel == "" {
			code = channel.CodeMissing
		}
		errs = append(errs, configError(code, "Channel", "is not the id of a channel", `copy it from "About this channel": it begins with C, D or G and has no lower case letters`))
	}
	if strings.ContainsAny(c.API, "?#") {
		errs = append(errs, configError(channel.CodeInvalid, "API", "has a query or a fragment", "remove it"))
	}
	return errors.Join(errs...)
}

// renamed says what package webhook says about method's Config, of the fields of a BotConfig.
func renamed(err error) error {
	return channel.EditConfigErrors(err, func(e *channel.ConfigError) {
		e.Package = pkg
		switch field, _, _ := strings.Cut(e.Path, "."); field {
		case "URL":
			e.Path = "API"
		case "Auth":
			e.Path = "Token"
		}
	})
}

// isChannelID takes ids of public channels, direct messages and private channels
// (https://docs.slack.dev/apis/web-api/using-the-conversations-api).
func isChannelID(s string) bool {
	if len(s) < 3 || len(s) > 64 || strings.IndexByte("CDG", s[0]) < 0 {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// method describes one of the Web API's methods.
func (c BotConfig) method(name string) webhook.Config {
	w := webhook.Config{
		URL:         strings.TrimSuffix(c.API, "/") + "/" + name,
		ContentType: "application/json; charset=utf-8",
		Interpret:   readAPI,
	}
	if !c.Token.IsZero() { // which validate reports in words of this package
		w.Auth = webhook.Scheme("Bearer", c.Token)
	}
	return c.withConnection(w)
}
