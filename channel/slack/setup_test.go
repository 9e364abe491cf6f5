package slack_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token   = "xoxb-T0KEN-S3CRET"
	hookKey = "T024BE7LD/B1H0K5C3RT/H00KS3CRETXXXXXXXXXXXXXX"
	room    = "C024BE91L"
)

// workspace imitates Slack on loopback: one webhook, one bot token, one channel, whose messages it keeps. It refuses,
// in Slack's words, what Slack would refuse.
type workspace struct {
	url     string
	t       *testing.T
	refuses bool // that a message is refused is no failure

	mu       sync.Mutex
	posts    []*post
	requests []request
	answers  []answer // for the next requests, instead of its own
}

// post is a message in the channel.
type post struct {
	ts, thread, text string
	broadcast        bool
	blocks           string
	edits            int
	deleted, frozen  bool
}

// request is what came in.
type request struct {
	path string
	body map[string]any
}

// answer is what goes out. An empty body is the workspace's own.
type answer struct {
	status int
	header http.Header
	body   string
	hangUp bool // after the request was carried out
}

// openWorkspace starts one that ends with the test.
func openWorkspace(t *testing.T) *workspace {
	t.Helper()
	w := &workspace{t: t}
	s := httptest.NewServer(w)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	w.url = s.URL
	return w
}

// ServeHTTP implements http.Handler.
func (w *workspace) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	raw, err := io.ReadAll(in.Body)
	if !assert.NoError(w.t, err) {
		return
	}
	w.mu.Lock()
	a := answer{status: http.StatusOK}
	if len(w.answers) > 0 {
		a, w.answers = w.answers[0], w.answers[1:]
	}
	status, own := http.StatusOK, ""
	if a.body == "" {
		status, own = w.handle(in, raw)
	} else {
		w.note(in.URL.Path, raw)
	}
	w.mu.Unlock()
	if a.hangUp {
		conn, _, err := http.NewResponseController(out).Hijack()
		if assert.NoError(w.t, err) {
			conn.Close()
		}
		return
	}
	for name, values := range a.header {
		out.Header()[name] = values
	}
	if a.body == "" {
		a.status, a.body = status, own
	}
	out.WriteHeader(a.status)
	_, _ = io.WriteString(out, a.body)
}

func (w *workspace) note(path string, raw []byte) map[string]any {
	var body map[string]any
	_ = json.Unmarshal(raw, &body)
	w.requests = append(w.requests, request{path, body})
	return body
}

// handle does what Slack does.
func (w *workspace) handle(in *http.Request, raw []byte) (status int, answer string) {
	body := w.note(in.URL.Path, raw)
	if strings.HasPrefix(in.URL.Path, "/services/") {
		return w.hook(in, raw, body)
	}
	return http.StatusOK, w.api(in, raw, body)
}

// faulty tells whether Slack would refuse a message, which fails the test unless that is what it is about.
func (w *workspace) faulty(raw []byte) bool {
	if w.refuses {
		return len(faults(raw)) > 0
	}
	return !assert.Empty(w.t, faults(raw))
}

func (w *workspace) hook(in *http.Request, raw []byte, body map[string]any) (status int, answer string) {
	switch {
	case in.URL.Path != "/services/"+hookKey:
		return http.StatusNotFound, "no_service"
	case body == nil || in.Method != http.MethodPost:
		return http.StatusBadRequest, "invalid_payload"
	case body["text"] == nil && body["blocks"] == nil:
		return http.StatusBadRequest, "no_text"
	case w.faulty(raw):
		return http.StatusBadRequest, "invalid_blocks"
	}
	w.add(body)
	return http.StatusOK, "ok"
}

func (w *workspace) api(in *http.Request, raw []byte, body map[string]any) string {
	refuse := func(code string) string { return `{"ok":false,"error":"` + code + `"}` }
	switch {
	case in.Header.Get("Authorization") != "Bearer "+token:
		return refuse("invalid_auth")
	case in.URL.Path == "/api/auth.test":
		return `{"ok":true,"team":"Example","user_id":"W12345678"}`
	case body["channel"] != room:
		return refuse("channel_not_found")
	case !strings.HasPrefix(in.Header.Get("Content-Type"), "application/json"):
		return refuse("invalid_post_type")
	case w.faulty(raw):
		return refuse("invalid_blocks")
	}
	switch in.URL.Path {
	case "/api/chat.postMessage":
		p := w.add(body)
		if p.thread != "" && (w.find(p.thread) == nil || w.find(p.thread).deleted) {
			p.thread = "" // what Slack does without a word
		}
		return said(p)
	case "/api/chat.update":
		p := w.find(body["ts"])
		switch {
		case p == nil || p.deleted:
			return refuse("message_not_found")
		case p.frozen:
			return refuse("edit_window_closed")
		}
		p.edits++
		p.fill(body)
		return said(p)
	}
	return refuse("unknown_method")
}

func said(p *post) string {
	text, _ := json.Marshal(p.text) // a string
	return fmt.Sprintf(`{"ok":true,"channel":%q,"ts":%q,"message":{"type":"message","text":%s,"blocks":%s}}`, room, p.ts, text, p.blocks)
}

func (w *workspace) add(body map[string]any) *post {
	p := &post{ts: fmt.Sprintf("1503435956.%06d", len(w.posts)+1)}
	p.thread, _ = body["thread_ts"].(string)
	p.broadcast, _ = body["reply_broadcast"].(bool)
	p.fill(body)
	w.posts = append(w.posts, p)
	return p
}

func (p *post) fill(body map[string]any) {
	p.text, _ = body["text"].(string)
	b, _ := json.Marshal(body["blocks"])
	p.blocks = string(b)
}

func (w *workspace) find(ts any) *post {
	i := slices.IndexFunc(w.posts, func(p *post) bool { return p.ts == ts })
	if i < 0 {
		return nil
	}
	return w.posts[i]
}

// next sets the responses to the next requests.
func (w *workspace) next(answers ...answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = answers
}

// change lets somebody in the workspace do something to the nth message.
func (w *workspace) change(n int, f func(*post)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.posts[n])
}

// read returns the messages.
func (w *workspace) read() []post {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]post, len(w.posts))
	for i, p := range w.posts {
		all[i] = *p
	}
	return all
}

// received returns the requests.
func (w *workspace) received() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// local are options to reach loopback, without a pause between messages.
func local(t testing.TB) slack.Options {
	t.Helper()
	g, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	return slack.Options{Interval: -1, Guard: g, Limits: netguard.Limits{AllowInsecureHTTP: true}}
}

// newWebhook makes a channel that is closed with the test. change may be nil.
func (w *workspace) newWebhook(change func(*slack.WebhookConfig)) *slack.Webhook {
	w.t.Helper()
	c := slack.WebhookConfig{URL: w.url + "/services/" + hookKey, Options: local(w.t)}
	if change != nil {
		change(&c)
	}
	hook, err := slack.NewWebhook(c)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, hook.Close()) })
	return hook
}

// newBot makes a channel that is closed with the test. change may be nil.
func (w *workspace) newBot(change func(*slack.BotConfig)) *slack.Bot {
	w.t.Helper()
	c := slack.BotConfig{Token: secret.Literal(token), Channel: room, API: w.url + "/api", Options: local(w.t)}
	if change != nil {
		change(&c)
	}
	bot, err := slack.NewBot(c)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, bot.Close()) })
	return bot
}

// sample is a realistic delivery.
func sample(t testing.TB, typ event.Type) channel.Delivery {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "approvers"}, Attempt: 1}
}

// justified is a request with a text of anybody's in it.
func justified(t testing.TB, text string) channel.Delivery {
	t.Helper()
	p, err := event.Decode[event.RequestPending](sample(t, event.TypeRequestPending).Event)
	require.NoError(t, err)
	p.Justification, p.Requester.Name, p.AccessBundle.Name, p.FriendlyID = text, text, text, text
	return channel.Delivery{Event: event.Must(p, event.Meta{Time: time.Unix(1700000000, 0)}), Route: channel.RouteID{Name: "approvers"}, Attempt: 1}
}

// failure returns err as the error of an attempt.
func failure(t testing.TB, err error) *webhook.Error {
	t.Helper()
	e, ok := errors.AsType[*webhook.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

// postponed checks the error of a delivery that came too soon.
func postponed(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, slack.ErrPaced)
	got := retry.Classify(t.Context(), err)
	assert.Equal(t, retry.VerdictPostponed, got.Verdict)
	assert.Positive(t, got.Delay)
	assert.LessOrEqual(t, got.Delay, time.Second)
}

// copyInto copies what from points to.
func copyInto(to, from any) { reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem()) }

// deref returns a copy of what p points to.
func deref(p any) any { return reflect.ValueOf(p).Elem().Interface() }
