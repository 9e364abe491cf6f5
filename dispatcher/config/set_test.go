package config_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

const reused = `
channels:
  - type: webhook
    name: hook
    url: https://hooks.example.com/a/{key}
    masks: [{replacement: "{key}", value: not-a-real-key}]
    headers: [{name: X-Plain, value: plain}]
    auth: {kind: bearer, token: env:TOCSIN_TOKEN}
    body: {kind: template, template: '"{{data.nothing}}"'}
  - type: email
    name: mail
    smtp_host: relay.example.com
    from_address: a@example.com
    to_addresses: [b@example.com, c@example.com]
routes:
  - {name: hook, channel: hook}
  - {name: mail, channel: mail}
`

// A channel whose part of the document did not change is the one that was there: with its connections, its pace, and
// what it remembers. Any change that it is made of makes another one.
func TestChannelsThatDoNotChangeLiveOn(t *testing.T) {
	t.Parallel()
	first := load(t, "a.yaml", reused, trusted())
	guard, err := netguard.New(netguard.Profile{}, nil)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		change     []string
		options    func(o *config.Options)
		hook, mail bool // kept
	}{
		"nothing":               {nil, nil, true, true},
		"as it is shown":        {[]string{reused, string(first.Document.YAML())}, nil, true, true},
		"a route":               {[]string{"channel: hook}", "channel: hook, concurrency: 2, events: [request.*]}"}, nil, true, true},
		"order and blanks":      {[]string{"    name: mail\n", "", "type: email", "name: mail\n    type:    email"}, nil, true, true},
		"a header":              {[]string{"value: plain", "value: plane"}, nil, false, true},
		"another header":        {[]string{"[{name: X-Plain", "[{name: X-More, value: x}, {name: X-Plain"}, nil, false, true},
		"a secret":              {[]string{"not-a-real-key", "not-a-real-kez"}, nil, false, true},
		"a reference":           {[]string{"TOCSIN_TOKEN", "TOCSIN_TOKEN_2"}, nil, false, true},
		"a recipient":           {[]string{", c@example.com", ""}, nil, true, false},
		"the order of these":    {[]string{"[b@example.com, c@example.com]", "[c@example.com, b@example.com]"}, nil, true, false},
		"a flag":                {[]string{"smtp_host", "verify_tls: true\n    smtp_host"}, nil, true, false},
		"the name":              {[]string{"name: mail\n", "name: post\n", "channel: mail", "channel: post"}, nil, true, false},
		"the network's meaning": {nil, func(o *config.Options) { o.Networks = map[string]*netguard.Guard{"public": guard} }, false, false},
		"the limits' meaning":   {nil, func(o *config.Options) { o.Limits = map[string]netguard.Limits{"default": {MaxHeaders: 3}} }, false, false},
		"no previous Set":       {nil, func(o *config.Options) { o.Previous = nil }, false, false},
	} {
		o := trusted()
		o.Previous = first
		if test.options != nil {
			test.options(&o)
		}
		next := load(t, "b.yaml", strings.NewReplacer(test.change...).Replace(reused), o)
		assert.Equal(t, test.hook, first.Routes[0].Channel == next.Routes[0].Channel, "hook: %s", name)
		assert.Equal(t, test.mail, first.Routes[1].Channel == next.Routes[1].Channel, "mail: %s", name)
		assert.Contains(t, found(next), "channels[0].body.template", "findings stay as well: %s", name)
	}
}

// A reference that is looked up when the document is loaded brings a new secret with a reload.
func TestASecretThatWasLookedUpAnewMakesAnotherChannel(t *testing.T) {
	t.Parallel()
	text := "one"
	o := config.Options{References: map[string]config.Reference{"vault": func(string) (secret.Value, error) { return secret.Literal(text), nil }}}
	src := hook("auth: {kind: bearer, token: vault:x}", "")
	first := load(t, "a.yaml", src, o)
	o.Previous = first
	assert.Same(t, first.Routes[0].Channel, load(t, "a.yaml", src, o).Routes[0].Channel)
	text = "two"
	assert.NotSame(t, first.Routes[0].Channel, load(t, "a.yaml", src, o).Routes[0].Channel)
}

// A channel of several Sets is closed with the last of them, in whatever order they are closed.
func TestAChannelOfSeveralSetsIsClosedWithTheLast(t *testing.T) {
	t.Parallel()
	const src = "channels: [{type: closing, name: a}]\nroutes: [{name: r, channel: a}]"
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		var closed atomic.Int32
		made := 0
		o := config.Options{Types: config.NewRegistry(map[string]config.Type{"closing": {Make: func(config.Settings, config.Environment) (channel.Channel, error) {
			made++
			return closing{channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }), &closed}, nil
		}}})}
		sets := make([]*config.Set, 3)
		for i := range sets {
			var err error
			sets[i], err = config.Load("a.yaml", []byte(src), o)
			require.NoError(t, err)
			o.Previous = sets[i]
		}
		_, err := config.Load("a.yaml", []byte(src+"\nrutes: []"), o)
		require.Error(t, err)
		assert.Equal(t, 1, made)
		require.NoError(t, sets[order[0]].Close())
		require.NoError(t, sets[order[1]].Close())
		require.NoError(t, sets[order[1]].Close())
		assert.Zero(t, closed.Load())
		require.EqualError(t, sets[order[2]].Close(), "said once")
		assert.EqualValues(t, 1, closed.Load())
		// What is closed does not come back.
		again, err := config.Load("a.yaml", []byte(src), o)
		require.NoError(t, err)
		assert.Equal(t, 2, made)
		require.Error(t, again.Close())
	}
}

// A bot remembers its messages over a reload, also when its own part of the document changed: a later event about a
// request still brings the first message up to date.
func TestSlackThreadsOutliveAReload(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, strings.TrimPrefix(r.URL.Path, "/api/"))
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "ts": "1.1", "channel": "C024BE91L"})
	}))
	t.Cleanup(receiver.Close)
	src := "channels:\n  - {type: slack, name: bot, network: lab, limits: lab, token: not-a-real-token, channel: C024BE91L, interval: none, api: " + receiver.URL + "/api}\n" +
		"routes: [{name: bot, channel: bot, order: by_subject}]\n"
	o := lab(t)
	subject := event.Meta{Subject: "REQ-1"}
	send := func(set *config.Set, e event.Event) {
		_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "bot"}, Attempt: 1})
		require.NoError(t, err)
	}
	first := load(t, "a.yaml", src, o)
	send(first, event.Must(event.RequestPending{AccessRequest: event.AccessRequest{ID: "REQ-1"}}, subject))
	require.Equal(t, []string{"chat.postMessage"}, calls)
	o.Previous = first
	calls = nil
	next := load(t, "a.yaml", strings.Replace(src, "interval: none", "interval: 1ms", 1), o)
	require.NotSame(t, first.Routes[0].Channel, next.Routes[0].Channel)
	send(next, event.Must(event.RequestApproved{AccessRequest: event.AccessRequest{ID: "REQ-1"}}, subject))
	assert.Equal(t, []string{"chat.update", "chat.postMessage"}, calls, "the message is brought up to date, and there is a reply")
	calls = nil
	o.Previous = nil
	forgotten := load(t, "a.yaml", src, o)
	send(forgotten, event.Must(event.RequestApproved{AccessRequest: event.AccessRequest{ID: "REQ-1"}}, subject))
	assert.Equal(t, []string{"chat.postMessage"}, calls, "nothing is remembered without the previous Set")
}

// What the host gives to remember things in is what channels get; without it, what they remember outlives a reload.
func TestWhatChannelsRemember(t *testing.T) {
	t.Parallel()
	var got config.Environment
	o := config.Options{Types: config.NewRegistry(map[string]config.Type{"spy": {
		Fields: []config.Field{{Name: "n", Kind: config.Number, Doc: "A number."}},
		Make: func(_ config.Settings, e config.Environment) (channel.Channel, error) {
			got = e
			return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }), nil
		},
	}})}
	o.Previous = load(t, "a.yaml", "channels: [{type: spy, name: a, n: 1}]", o)
	before := got
	load(t, "a.yaml", "channels: [{type: spy, name: a, n: 2}]", o)
	assert.Same(t, before.References, got.References)
	assert.Same(t, before.Progress, got.Progress)
	assert.Same(t, before.Guard, got.Guard)
	o.SlackReferences, o.MailProgress = slack.NewMemory(slack.MemoryOptions{}), email.NewMemory(email.MemoryOptions{})
	load(t, "a.yaml", "channels: [{type: spy, name: a, n: 3}]", o)
	assert.Same(t, o.SlackReferences, got.References)
	assert.Same(t, o.MailProgress, got.Progress)
}

// boxedReferences are of a type that can be compared, but with this in them they cannot.
type boxedReferences struct {
	slack.References

	inner any
}

func TestStoresThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	o := trusted()
	o.SlackReferences = boxedReferences{slack.NewMemory(slack.MemoryOptions{}), []int{1}}
	first := load(t, "a.yaml", reused, o)
	o.Previous = first
	assert.NotSame(t, first.Routes[0].Channel, load(t, "a.yaml", reused, o).Routes[0].Channel, "they may be others")
	o.SlackReferences = boxedReferences{slack.NewMemory(slack.MemoryOptions{}), 1}
	o.Previous = load(t, "a.yaml", reused, o)
	assert.Same(t, o.Previous.Routes[0].Channel, load(t, "a.yaml", reused, o).Routes[0].Channel)
}
