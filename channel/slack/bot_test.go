package slack_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// deliver sends the samples of the given types.
func deliver(t *testing.T, c channel.Channel, types ...event.Type) {
	t.Helper()
	for _, typ := range types {
		_, err := c.Send(t.Context(), sample(t, typ))
		require.NoError(t, err)
	}
}

// The lifecycle of a request is one message that says how it stands, with the news below it.
func TestLaterEventsUpdateAndReply(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	deliver(t, bot, event.TypeRequestPending)
	first := w.Messages()[0]
	assert.Contains(t, string(first.Blocks), "waits for approval")

	deliver(t, bot, event.TypeRequestApproved, event.TypeGrantActive, event.TypeGrantExpiringSoon, event.TypeGrantExpired)
	all := w.Messages()
	require.Len(t, all, 5)
	assert.Equal(t, 4, all[0].Edits)
	assert.Contains(t, string(all[0].Blocks), "Access of Priya Nair has ended")
	assert.Contains(t, all[0].Text, "Priya Nair had Payments troubleshooting")
	for i, words := range []string{"is approved", "is active", "ends soon", "has ended"} {
		assert.Equal(t, first.TS, all[i+1].ThreadTS)
		assert.Contains(t, string(all[i+1].Blocks), words)
		assert.Zero(t, all[i+1].Edits)
		assert.False(t, all[i+1].Broadcast)
	}
	for _, r := range w.Requests() {
		body := decoded(t, r.Body)
		if r.URI == "/api/chat.update" {
			assert.Equal(t, "none", body["parse"], "the default of chat.update makes links of names and addresses")
			assert.NotContains(t, body, "unfurl_links")
		} else {
			assert.Equal(t, false, body["unfurl_links"])
			assert.Equal(t, false, body["unfurl_media"])
		}
	}
}

func TestReceiptsOfABot(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	for i, typ := range []event.Type{event.TypeRequestPending, event.TypeRequestApproved} {
		r, err := bot.Send(t.Context(), sample(t, typ))
		require.NoError(t, err)
		assert.Equal(t, w.Messages()[i].TS, r.ProviderID)
		assert.Equal(t, 200, r.Status)
		assert.Positive(t, r.Duration)
		assert.False(t, r.Skipped)
		assert.Equal(t, "POST "+w.url, r.Request.Start)
		assert.Equal(t, secret.Redacted, r.Request.Header.Get("Authorization"))
		assert.Contains(t, string(r.Response.Body), `"ok":true`)
	}
}

// Some news must not be missed by those who do not follow the thread.
func TestRepliesThatTheChannelSees(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	deliver(t, w.newBot(nil), event.TypeRequestPending, event.TypeRequestApproved, event.TypeGrantFailed)
	all := w.Messages()
	require.Len(t, all, 3)
	assert.False(t, all[1].Broadcast)
	assert.True(t, all[2].Broadcast)
	assert.Equal(t, all[0].TS, all[2].ThreadTS)
}

func TestWhatIsAMessageOfItsOwn(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	deliver(t, bot, event.TypeDeliveryDead, event.TypeDeliveryDead) // belongs to no lifecycle
	for range 2 {
		d := channel.Delivery{Event: event.Must(hostEvent{"key": "k-17"}, event.Meta{}), Route: channel.RouteID{Name: "approvers"}} // no subject
		_, err := bot.Send(t.Context(), d)
		require.NoError(t, err)
	}
	deliver(t, w.newBot(func(c *slack.BotConfig) { c.Separate = true }), event.TypeRequestPending, event.TypeRequestApproved)
	all := w.Messages()
	require.Len(t, all, 6)
	for _, p := range all {
		assert.Empty(t, p.ThreadTS)
		assert.Zero(t, p.Edits)
	}
}

// Tenants, routes, channels and subjects have messages of their own, also when they share the References.
func TestStoriesAreKeptApart(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	shared := slack.NewMemory(slack.MemoryOptions{})
	bot := w.newBot(func(c *slack.BotConfig) { c.References = shared })
	p, err := event.Decode[event.RequestPending](sample(t, event.TypeRequestPending).Event)
	require.NoError(t, err)
	other := p
	other.ID = "another-request"
	for _, d := range []channel.Delivery{
		{Event: event.Must(p, event.Meta{}), Route: channel.RouteID{Name: "a"}},
		{Event: event.Must(p, event.Meta{}), Route: channel.RouteID{Name: "b"}},
		{Event: event.Must(p, event.Meta{Tenant: "acme"}), Route: channel.RouteID{Name: "a"}},
		{Event: event.Must(p, event.Meta{Tenant: "globex"}), Route: channel.RouteID{Name: "a"}},
		{Event: event.Must(other, event.Meta{}), Route: channel.RouteID{Name: "a"}},
	} {
		_, err := bot.Send(t.Context(), d)
		require.NoError(t, err)
	}
	_, found, err := shared.Get(t.Context(), slack.Key{Route: "a", Channel: "C0THER", Subject: p.ID})
	require.NoError(t, err)
	assert.False(t, found, "a route that posts elsewhere now does not update the message there")
	for _, m := range w.Messages() {
		assert.Empty(t, m.ThreadTS)
		assert.Zero(t, m.Edits)
	}
	assert.Len(t, w.Messages(), 5)
}

// A repeated delivery says nothing new, whether the first time went well or a response of Slack's was lost before the
// reply.
func TestARepeatedDeliverySaysNothingNew(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	deliver(t, bot, event.TypeRequestPending, event.TypeRequestPending, event.TypeRequestApproved, event.TypeRequestApproved)
	require.Len(t, w.Messages(), 2)

	w.Script(slacktest.Response{Drop: true}) // chat.update is carried out, and nobody hears of it
	d := sample(t, event.TypeGrantActive)
	r, err := bot.Send(t.Context(), d)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.True(t, r.OutcomeUnknown)
	require.Len(t, w.Messages(), 2)
	d.Attempt = 2
	_, err = bot.Send(t.Context(), d)
	require.NoError(t, err)
	assert.Len(t, w.Messages(), 3)

	d.Generation = 1700000000 // again on purpose
	_, err = bot.Send(t.Context(), d)
	require.NoError(t, err)
	assert.Len(t, w.Messages(), 4)
}

// An old event that is delivered late does not make the message say what is not true any more.
func TestAnOldEventOnlyReplies(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	deliver(t, bot, event.TypeRequestPending, event.TypeGrantActive, event.TypeRequestApproved)
	all := w.Messages()
	require.Len(t, all, 3)
	assert.Contains(t, string(all[0].Blocks), "is active")
	assert.Contains(t, string(all[2].Blocks), "is approved")

	r, err := bot.Send(t.Context(), sample(t, event.TypeRequestApproved)) // and again: there is nothing left to do
	require.NoError(t, err)
	assert.Equal(t, channel.Receipt{ProviderID: all[0].TS, Skipped: true}, r)
	assert.Len(t, w.Messages(), 3)
}

func TestWhoIsInASessionDoesNotReplaceTheSession(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	deliver(t, bot, event.TypeSessionStarted, event.TypeSessionMemberJoined, event.TypeSessionMemberLeft)
	all := w.Messages()
	require.Len(t, all, 3)
	assert.Contains(t, string(all[0].Blocks), "Session started")
	assert.Contains(t, string(all[1].Blocks), "Lukas Brandt")
	assert.Equal(t, all[0].TS, all[1].ThreadTS)
	deliver(t, bot, event.TypeSessionEnded)
	assert.Contains(t, string(w.Messages()[0].Blocks), "Session ended")
}

// When the first message has been deleted, the next event begins anew, and later ones follow that.
func TestAMessageThatIsGoneBeginsAnew(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	deliver(t, bot, event.TypeRequestPending)
	assert.True(t, w.Delete(w.Messages()[0].TS))
	deliver(t, bot, event.TypeRequestApproved, event.TypeGrantActive)
	all := w.Messages()
	require.Len(t, all, 3)
	assert.Empty(t, all[1].ThreadTS)
	assert.Equal(t, 1, all[1].Edits)
	assert.Contains(t, string(all[1].Blocks), "is active")
	assert.Equal(t, all[1].TS, all[2].ThreadTS)
}

// A message that cannot be changed any more can still be replied to.
func TestAMessageThatCannotBeChangedGetsReplies(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"edit_window_closed", "cant_update_message", "block_mismatch"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			bot := w.newBot(nil)
			deliver(t, bot, event.TypeRequestPending)
			w.Script(slacktest.Response{Status: 200, Body: `{"ok":false,"error":"` + code + `"}`})
			deliver(t, bot, event.TypeRequestApproved)
			all := w.Messages()
			require.Len(t, all, 2)
			assert.Equal(t, all[0].TS, all[1].ThreadTS)
			assert.Zero(t, all[0].Edits)
		})
	}
}

// Where nobody may reply, news is a message of its own: better there than nowhere.
func TestAMessageThatTakesNoRepliesBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"restricted_action_thread_locked", "cannot_reply_to_message", "restricted_action_non_threadable_channel", "thread_not_found"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			bot := w.newBot(nil)
			deliver(t, bot, event.TypeRequestPending)
			w.Script(slacktest.Response{}, slacktest.Response{Status: 200, Body: `{"ok":false,"error":"` + code + `"}`})
			deliver(t, bot, event.TypeRequestApproved)
			all := w.Messages()
			require.Len(t, all, 2)
			assert.Empty(t, all[1].ThreadTS)
			assert.Contains(t, string(all[1].Blocks), "is approved")
		})
	}
}

// When the update or the reply fails, the attempt fails, and the next one does both.
func TestAFailedCallFailsTheAttempt(t *testing.T) {
	t.Parallel()
	refused := slacktest.Response{Status: 200, Body: `{"ok":false,"error":"service_unavailable"}`}
	for name, answers := range map[string][]slacktest.Response{"update": {refused}, "reply": {{}, refused}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			bot := w.newBot(nil)
			deliver(t, bot, event.TypeRequestPending)
			w.Script(answers...)
			_, err := bot.Send(t.Context(), sample(t, event.TypeRequestApproved))
			assert.Equal(t, "service_unavailable", failure(t, err).Reason)
			require.Len(t, w.Messages(), 1)
			deliver(t, bot, event.TypeRequestApproved)
			assert.Len(t, w.Messages(), 2)
			assert.Contains(t, string(w.Messages()[0].Blocks), "is approved")
		})
	}
}

// broken is a References that fails.
type broken struct {
	*slack.Memory
	get, put error
}

func (b broken) Get(ctx context.Context, k slack.Key) (slack.Reference, bool, error) {
	r, found, _ := b.Memory.Get(ctx, k)
	return r, found, b.get
}

func (b broken) Put(ctx context.Context, k slack.Key, r slack.Reference) error {
	_ = b.Memory.Put(ctx, k, r)
	return b.put
}

// Somebody hears of every event, whatever becomes of the references, and the operator hears of that.
func TestBrokenReferencesLoseNothing(t *testing.T) {
	t.Parallel()
	down := errors.New("the database is down")
	for name, refs := range map[string]broken{"get": {slack.NewMemory(slack.MemoryOptions{}), down, nil}, "put": {slack.NewMemory(slack.MemoryOptions{Max: 1, TTL: 1}), nil, down}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			w := openWorkspace(t)
			bot := w.newBot(func(c *slack.BotConfig) {
				c.References = refs
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			deliver(t, bot, event.TypeRequestPending, event.TypeRequestApproved)
			all := w.Messages()
			require.Len(t, all, 2)
			assert.Empty(t, all[1].ThreadTS)
			assert.Contains(t, log.String(), "the database is down")
			assert.Contains(t, log.String(), "route=approvers")
		})
	}
}

// late is a References that is asked to store something when the attempt's time is over.
type late struct {
	*slack.Memory
	over context.CancelFunc
}

func (l late) Put(ctx context.Context, k slack.Key, r slack.Reference) error {
	l.over()
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.Memory.Put(ctx, k, r)
}

func TestAMessageIsRememberedAfterTheLastMoment(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	ctx, cancel := context.WithCancel(t.Context())
	bot := w.newBot(func(c *slack.BotConfig) { c.References = late{slack.NewMemory(slack.MemoryOptions{}), cancel} })
	_, err := bot.Send(ctx, sample(t, event.TypeRequestPending))
	require.NoError(t, err)
	deliver(t, bot, event.TypeRequestApproved)
	all := w.Messages()
	require.Len(t, all, 2)
	assert.Equal(t, all[0].TS, all[1].ThreadTS)
}

// lines is a log for many goroutines.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	require.NoError(t, w.newBot(nil).Check(t.Context()))
	err := w.newBot(func(c *slack.BotConfig) { c.Token = secret.Literal("xoxb-AN0THER-S3CRET") }).Check(t.Context())
	assert.EqualError(t, err, "POST "+w.url+": answered 200 OK: invalid_auth")
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	assert.Error(t, w.newBot(nil).Check(ctx))
	assert.Empty(t, w.Messages())
}

func TestAnAnswerWithoutAnIDIsNotRemembered(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(nil)
	w.Script(slacktest.Response{Status: 200, Body: `{"ok":true}`})
	deliver(t, bot, event.TypeRequestPending, event.TypeRequestApproved)
	all := w.Messages()
	require.Len(t, all, 1)
	assert.Empty(t, all[0].ThreadTS)
}
