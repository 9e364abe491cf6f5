package manage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

func TestChannelFromCreateToDelete(t *testing.T) {
	t.Parallel()
	s, one, two := start(t, options(t, manage.NewMemory())), newReceiver(t), newReceiver(t)
	c := create(t, s, priya, webhook("tickets", one.url+"/secret-path", ""))
	assert.True(t, c.Applied)
	assert.NotContains(t, string(c.Channel), "secret-path")
	dispatch(t, s, "acme")
	assert.Equal(t, "/secret-path", one.next(t).path)

	_, err := s.Get(t.Context(), "globex", "tickets")
	failure(t, err, manage.CodeNotFound)

	shown := strings.Replace(string(c.Channel), one.url+"/[redacted]", two.url+"/other", 1)
	changed, err := s.Replace(t.Context(), priya, "tickets", c.ETag, manage.ChannelInput{Channel: json.RawMessage(shown)})
	require.NoError(t, err)
	assert.NotEqual(t, c.ETag, changed.ETag)
	assert.Len(t, changed.Routes, 1)
	dispatch(t, s, "acme")
	assert.Equal(t, "/other", two.next(t).path)

	_, err = s.Replace(t.Context(), priya, "tickets", c.ETag, manage.ChannelInput{Channel: json.RawMessage(shown)})
	failure(t, err, manage.CodeStale)
	failure(t, s.Delete(t.Context(), priya, "tickets", c.ETag), manage.CodeStale)
	require.NoError(t, s.Delete(t.Context(), priya, "tickets", changed.ETag))
	_, err = s.Get(t.Context(), "acme", "tickets")
	failure(t, err, manage.CodeNotFound)
	failure(t, s.Delete(t.Context(), priya, "tickets", ""), manage.CodeNotFound)
	before := s.Engine().Unrouted()
	dispatch(t, s, "acme")
	assert.Equal(t, before+1, s.Engine().Unrouted())
}

// A create that is repeated with equal content changes nothing; with other content, or after a change, it is refused.
func TestCreateIsIdempotent(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	in := manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "https://hooks.example/x", "headers": [{"name": "X-Key", "secret": "not-a-real-key"}]}`)}
	c := create(t, s, priya, in)
	in.Channel = json.RawMessage(`{"name":"a","type":"webhook","headers":[{"secret":"not-a-real-key","name":"X-Key"}],"url":"https://hooks.example/x"}`)
	again, created, err := s.Create(t.Context(), priya, in)
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, c, again)

	other := in
	other.Channel = json.RawMessage(strings.Replace(string(in.Channel), "not-a-real-key", "another", 1))
	_, _, err = s.Create(t.Context(), priya, other)
	failure(t, err, manage.CodeExists)
	_, err = s.Pause(t.Context(), priya, "a", "")
	require.NoError(t, err)
	_, _, err = s.Create(t.Context(), priya, in)
	failure(t, err, manage.CodeExists)
}

// Everything that is wrong is reported at once, at its place in what was given.
func TestCreateReportsAllAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	_, _, err := s.Create(t.Context(), priya, manage.ChannelInput{
		Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "https://hooks.example/x", "headres": [], "method": "FETCH", "headers": [{"name": "X-A/b"}]}`),
		Routes:  []json.RawMessage{json.RawMessage(`{"name": "a", "events": ["request.pendin"]}`), json.RawMessage(`{"name": "a"}`), json.RawMessage(`[]`)},
	})
	var pointers []string
	for _, f := range failure(t, err, manage.CodeFields).Fields {
		pointers = append(pointers, f.Pointer)
		assert.NotEmpty(t, f.Detail)
		assert.NotEmpty(t, f.Remedy)
	}
	assert.ElementsMatch(t, []string{"/channel/headres", "/channel/method", "/channel/headers/0/name", "/routes/0/events/0", "/routes/1/name", "/routes/2"}, pointers)

	for _, name := range []string{"", "a/b", `a\b`, ".", "..", "a\u202eb", " a"} {
		_, _, err := s.Create(t.Context(), priya, webhook(name, "https://hooks.example/x", ""))
		assert.Equal(t, "/channel/name", failure(t, err, manage.CodeFields).Fields[0].Pointer, name)
	}
}

// The edits of other channels do not change an ETag; those of its routes and of its secrets do.
func TestETagIsAboutOneChannel(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	a := create(t, s, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "https://hooks.example/x", "auth": {"kind": "bearer", "token": "not-a-real-token"}}`)})
	create(t, s, priya, webhook("b", "https://hooks.example/y", ""))
	after, err := s.Get(t.Context(), "acme", "a")
	require.NoError(t, err)
	assert.Equal(t, a.ETag, after.ETag)

	same, err := s.Replace(t.Context(), priya, "a", a.ETag, manage.ChannelInput{Channel: a.Channel, Routes: a.Routes})
	require.NoError(t, err)
	assert.Equal(t, a.ETag, same.ETag, "nothing was changed")
	assert.Empty(t, s.audit.of(event.TypeChannelUpdated))

	replaced := strings.Replace(string(a.Channel), `"token": "[redacted]"`, `"token": "not-a-real-token"`, 1)
	replaced = strings.Replace(replaced, "https://hooks.example/[redacted]", "https://hooks.example/x", 1)
	c, err := s.Replace(t.Context(), priya, "a", a.ETag, manage.ChannelInput{Channel: json.RawMessage(replaced)})
	require.NoError(t, err)
	assert.Equal(t, a.Channel, c.Channel)
	assert.NotEqual(t, a.ETag, c.ETag, "a secret that was given again counts as changed, or its value could be tried out")
}

// What waits for a channel goes with it: the next one of its name finds nothing.
func TestDeletePurges(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("a", r.url+"/old", ""))
	_, err := s.Pause(t.Context(), priya, "a", "")
	require.NoError(t, err)
	dispatch(t, s, "acme")
	rows, err := s.List(t.Context(), "acme", manage.ListQuery{}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, rows[0].Queued)
	require.NoError(t, s.Delete(t.Context(), priya, "a", ""))
	create(t, s, priya, webhook("a", r.url+"/new", ""))
	second := dispatch(t, s, "acme")
	got := r.next(t)
	assert.Equal(t, "/new", got.path)
	assert.Contains(t, got.body, second.ID())
	assert.Empty(t, r.got)
}

func TestEnableDisablePause(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("a", r.url, ""))
	state := func() string {
		rows, err := s.List(t.Context(), "acme", manage.ListQuery{}, nil)
		require.NoError(t, err)
		return rows[0].State
	}
	for range 2 {
		c, err := s.Disable(t.Context(), priya, "a", "")
		require.NoError(t, err)
		assert.Contains(t, string(c.Routes[0]), `"state": "disabled"`)
		assert.Equal(t, "disabled", state())
	}
	assert.Len(t, s.audit.of(event.TypeChannelSwitchedOff), 1, "the second changed nothing")
	dispatch(t, s, "acme")
	_, err := s.Pause(t.Context(), priya, "a", "")
	require.NoError(t, err)
	assert.Equal(t, "paused", state())
	e := dispatch(t, s, "acme")
	_, err = s.Enable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	assert.Equal(t, "enabled", state())
	assert.Contains(t, r.next(t).body, e.ID())
	assert.Empty(t, r.got, "what came while it was disabled was not queued")
	_, err = s.Enable(t.Context(), priya, "nobody", "")
	failure(t, err, manage.CodeNotFound)
}

func TestRenameWhereItIsSafe(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("a", r.url+"/path", ""))
	create(t, s, priya, webhook("b", r.url, "grant.*"))
	_, err := s.Rename(t.Context(), priya, "a", "", "c")
	failure(t, err, manage.CodeState)
	_, err = s.Pause(t.Context(), priya, "a", "")
	require.NoError(t, err)
	dispatch(t, s, "acme")
	_, err = s.Disable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	_, err = s.Rename(t.Context(), priya, "a", "", "c")
	failure(t, err, manage.CodeState)
	_, err = s.Enable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	r.next(t)
	eventually(t, func() bool {
		_, err = s.Disable(t.Context(), priya, "a", "")
		require.NoError(t, err)
		_, err = s.Rename(t.Context(), priya, "a", "", "b")
		return err != nil && strings.Contains(err.Error(), "already")
	}, "another one's name")
	var c manage.Channel
	eventually(t, func() bool {
		c, err = s.Rename(t.Context(), priya, "a", "", "c")
		return err == nil
	}, "nothing waits any more")
	assert.Equal(t, "c", c.Name)
	_, err = s.Enable(t.Context(), priya, "c", "")
	require.NoError(t, err)
	dispatch(t, s, "acme")
	assert.Equal(t, "/path", r.next(t).path, "its secrets go with it")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	o := options(t, manage.NewMemory())
	o.Limits = manage.Limits{Document: 4000, Channel: 2000, Channels: 3}
	s := start(t, o)
	in := webhook("big", "https://hooks.example/"+strings.Repeat("x", 2000), "")
	_, _, err := s.Create(t.Context(), priya, in)
	failure(t, err, manage.CodeTooLarge)
	for i := range 3 {
		create(t, s, priya, webhook(fmt.Sprint(i), "https://hooks.example/x", ""))
	}
	_, _, err = s.Create(t.Context(), priya, webhook("fourth", "https://hooks.example/x", ""))
	failure(t, err, manage.CodeFields)
	for i := range 3 {
		in := manage.ChannelInput{Channel: webhook(fmt.Sprint(i), "https://hooks.example/"+strings.Repeat("x", 1500), "").Channel}
		if _, err = s.Replace(t.Context(), priya, fmt.Sprint(i), "", in); err != nil {
			break
		}
	}
	failure(t, err, manage.CodeTooLarge)
}

// Another channel's fallback keeps a channel from being deleted.
func TestDeleteOfWhatIsInUse(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	create(t, s, priya, webhook("a", "https://hooks.example/x", ""))
	create(t, s, priya, manage.ChannelInput{
		Channel: webhook("b", "https://hooks.example/y", "").Channel,
		Routes:  []json.RawMessage{json.RawMessage(`{"name": "b", "fallback": "a"}`), json.RawMessage(`{"name": "b2", "fallback": "b"}`)},
	})
	failure(t, s.Delete(t.Context(), priya, "a", ""), manage.CodeState)
	require.NoError(t, s.Delete(t.Context(), priya, "b", ""), "its own routes may name each other")
	require.NoError(t, s.Delete(t.Context(), priya, "a", ""))
	status, err := s.Engine().Status(t.Context(), dispatcher.StatusFilter{Tenants: []string{"acme"}})
	require.NoError(t, err)
	assert.Empty(t, status)
}

// Once it is shut down, nothing is changed.
func TestNothingIsChangedAfterShutdown(t *testing.T) {
	t.Parallel()
	store := manage.NewMemory()
	s := start(t, options(t, store))
	create(t, s, priya, webhook("a", "https://hooks.example", ""))
	s.shutdown(t)
	before, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	_, _, err = s.Create(t.Context(), priya, webhook("b", "https://hooks.example", ""))
	failure(t, err, manage.CodeShutDown)
	_, err = s.Test(t.Context(), priya, "a", test(event.TypeGrantActive, nil))
	failure(t, err, manage.CodeShutDown)
	after, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, before, after)
	assert.NotContains(t, string(after.Content), `"changes"`, "what was told is not told again")
}

// A change of one channel gives no route to another one, whose ETag and record of changes would not show it.
func TestRoutesOfAChannelAreItsOwn(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("pager", r.url, ""))
	before := create(t, s, priya, webhook("tickets", r.url, ""))
	for _, routes := range []string{`{"name": "more", "channel": "pager"}`, `{"name": "tickets", "channel": "pager"}`} {
		in := manage.ChannelInput{Channel: webhook("tickets", r.url, "").Channel, Routes: []json.RawMessage{[]byte(routes)}}
		_, err := s.Replace(t.Context(), priya, "tickets", before.ETag, in)
		e := failure(t, err, manage.CodeFields)
		assert.Equal(t, "/routes/0/channel", e.Fields[0].Pointer)
		in.Channel = webhook("new", r.url, "").Channel
		_, _, err = s.Create(t.Context(), priya, in)
		require.Error(t, err)
		_, err = s.Test(t.Context(), priya, "", manage.TestInput{EventType: event.TypeRequestPending, Channel: &in})
		failure(t, err, manage.CodeFields)
	}
	after, err := s.Get(t.Context(), "acme", "tickets")
	require.NoError(t, err)
	assert.Equal(t, before.ETag, after.ETag)
}

// Who may name any tenant cannot replace the routes that the host has for all of them.
func TestRoutesOfTheWholePlatformAreTheHosts(t *testing.T) {
	t.Parallel()
	o := options(t, manage.NewMemory())
	got := make(chan string, 1)
	o.Engine.Routes = []dispatcher.Route{{Name: "siem", Tenant: dispatcher.AnyTenant, Channel: channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
		got <- d.Event.ID()
		return channel.Receipt{}, nil
	})}}
	a := serve(t, o).as("acme editor,platform")
	a.want(t, http.StatusConflict, "POST", "/notification-channels?tenant=*", `{"channel": {"type": "webhook", "name": "a", "url": "https://example.com"}}`)
	e := dispatch(t, a.bundle, "acme")
	assert.Equal(t, e.ID(), <-got)
}

// A change that is stored and cannot be put in force is answered as it is stored.
func TestStoredAndNotInForce(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	require.NoError(t, a.Engine().Shutdown(t.Context()))
	got := a.want(t, http.StatusCreated, "POST", "/notification-channels", `{"channel": {"type": "webhook", "name": "a", "url": "https://example.com"}}`)
	assert.Equal(t, "a", got["name"])
	assert.Equal(t, false, got["applied"])
	assert.NotNil(t, got["channel"])
}

// A channel that does not close properly is replaced all the same.
func TestReplacedChannelThatDoesNotClose(t *testing.T) {
	t.Parallel()
	o := options(t, manage.NewMemory())
	types := config.NewRegistry(map[string]config.Type{"stubborn": {
		Fields: []config.Field{{Name: "colour"}},
		Make:   func(config.Settings, config.Environment) (channel.Channel, error) { return stubborn{}, nil },
	}})
	o.Config = func(string) config.Options { return config.Options{Types: types} }
	s := start(t, o)
	create(t, s, priya, manage.ChannelInput{Channel: []byte(`{"type": "stubborn", "name": "a"}`)})
	c, err := s.Replace(t.Context(), priya, "a", "", manage.ChannelInput{Channel: []byte(`{"type": "stubborn", "name": "a", "colour": "blue"}`)})
	require.NoError(t, err)
	assert.True(t, c.Applied)
	assert.Len(t, s.audit.of(event.TypeChannelUpdated), 1)
	require.NoError(t, s.Delete(t.Context(), priya, "a", ""))
}

// stubborn is a channel that does not close.
type stubborn struct{ channel.Func }

func (stubborn) Close() error { return errors.New("connection reset") }

// A route with the name of the one that holds events would keep the configuration from being in force beside that.
func TestNameOfTheRouteThatHoldsEvents(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	const name = "events of an unreadable configuration"
	_, _, err := s.Create(t.Context(), priya, webhook(name, "https://example.com", ""))
	failure(t, err, manage.CodeExists)
	create(t, s, priya, webhook("a", "https://example.com", ""))
	_, err = s.Disable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	_, err = s.Rename(t.Context(), priya, "a", "", name)
	failure(t, err, manage.CodeExists)
	_, _, err = s.Import(t.Context(), priya, "a.json", []byte(`{"channels": [{"type": "webhook", "name": "a", "url": "https://example.com"}], "routes": [{"name": "`+name+`", "channel": "a"}]}`), "", false)
	failure(t, err, manage.CodeExists)
}
