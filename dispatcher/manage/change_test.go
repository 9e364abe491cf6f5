package manage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

func decode[T event.Payload](t testing.TB, e event.Event) T {
	t.Helper()
	p, err := event.Decode[T](e)
	require.NoError(t, err)
	return p
}

// Each change is an event with who did it, the revision, and what was changed, without secrets.
func TestEveryChangeIsAnEvent(t *testing.T) {
	t.Parallel()
	const token, other = "not-a-real-token", "another-token"
	s := start(t, options(t, manage.NewMemory()))
	c := create(t, s, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "https://hooks.example/path", "auth": {"kind": "bearer", "token": "` + token + `"}}`)})
	events := s.audit.of(event.TypeChannelCreated)
	require.Len(t, events, 1)
	assert.Equal(t, "acme", events[0].Tenant())
	made := decode[event.ChannelCreated](t, events[0])
	assert.Equal(t, priya.Actor, made.Actor)
	assert.Equal(t, "a", made.Channel)
	assert.EqualValues(t, c.Revision, made.Revision)
	assert.Contains(t, made.Changes, event.FieldChange{Path: "channel.type", After: "webhook"})

	edited := strings.Replace(string(c.Channel), `"token": "[redacted]"`, `"token": "`+other+`"`, 1)
	edited = strings.Replace(edited, `"name": "a",`, `"name": "a", "method": "PUT",`, 1)
	edited = strings.Replace(edited, "https://hooks.example/[redacted]", "https://hooks.example/path", 1)
	_, err := s.Replace(t.Context(), manage.By{Tenant: "acme", Actor: "tomas"}, "a", c.ETag, manage.ChannelInput{Channel: json.RawMessage(edited)})
	require.NoError(t, err)
	events = s.audit.of(event.TypeChannelUpdated)
	require.Len(t, events, 1)
	updated := decode[event.ChannelUpdated](t, events[0])
	assert.Equal(t, "tomas", updated.Actor)
	assert.Equal(t, []event.FieldChange{
		{Path: "channel.auth.token", Before: "[redacted]", After: "changed"},
		{Path: "channel.method", After: "PUT"},
		{Path: "channel.url", Before: "https://hooks.example/[redacted]", After: "changed"},
	}, updated.Changes)
	require.NoError(t, s.Delete(t.Context(), priya, "a", ""))
	require.Len(t, s.audit.of(event.TypeChannelDeleted), 1)
	for _, e := range s.audit.all {
		for _, secret := range []string{token, other, "example/path"} {
			assert.NotContains(t, string(e.JSON()), secret)
		}
	}
}

// Only filters that name them want these events.
func TestChangesReachThoseWhoAskForThem(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("all", r.url+"/all", "*"))
	create(t, s, priya, webhook("audit", r.url+"/audit", "tocsin.*"))
	first := r.next(t)
	assert.Equal(t, "/audit", first.path)
	assert.Contains(t, first.body, "tocsin.channel_created")
	create(t, s, priya, webhook("third", "https://hooks.example/x", ""))
	assert.Equal(t, "/audit", r.next(t).path)
	assert.Empty(t, r.got)
}

// flakyStore is a store whose Put can fail in several ways.
type flakyStore struct {
	*manage.Memory

	lose atomic.Bool // stores and says that it does not know
	fail atomic.Bool // does not store and says that it does not know
}

var errLost = errors.New("connection lost")

func (f *flakyStore) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if f.fail.Load() {
		return 0, errLost
	}
	revision, err := f.Memory.Put(ctx, tenant, r, expect)
	if f.lose.Load() && err == nil {
		return 0, errLost
	}
	return revision, err
}

// A change that is stored is told and in force, also if the store's answer was lost; one that is not stored is neither.
func TestUnknownOutcomeOfAChange(t *testing.T) {
	t.Parallel()
	store := &flakyStore{Memory: manage.NewMemory()}
	s, r := start(t, options(t, store)), newReceiver(t)
	store.lose.Store(true)
	create(t, s, priya, webhook("a", r.url, ""))
	assert.Len(t, s.audit.of(event.TypeChannelCreated), 1)
	dispatch(t, s, "acme")
	r.next(t)

	store.lose.Store(false)
	store.fail.Store(true)
	_, _, err := s.Create(t.Context(), priya, webhook("b", r.url, ""))
	e := failure(t, err, manage.CodeUnavailable)
	assert.Contains(t, e.Detail, "did not say")
	require.ErrorIs(t, err, errLost)
	assert.Positive(t, e.RetryAfter)
	assert.Len(t, s.audit.of(event.TypeChannelCreated), 1)
	_, err = s.Get(t.Context(), "acme", "b")
	failure(t, err, manage.CodeNotFound)
	store.fail.Store(false)
	create(t, s, priya, webhook("b", r.url, ""))
}

// deafQueue refuses the library's own events while it is deaf: as if the process had died before it told of a change.
type deafQueue struct {
	queue.Queue

	deaf atomic.Bool
}

var errDeaf = errors.New("deaf")

func (q *deafQueue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	for _, j := range jobs {
		if strings.HasPrefix(string(j.Event.Type()), "tocsin.") && q.deaf.Load() {
			return errDeaf
		}
	}
	return q.Queue.Enqueue(ctx, jobs...)
}

// A stored change whose event was not dispatched is told by the next process, with the same id; told ones are not told
// again.
func TestChangesAreToldAfterACrash(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	q := &deafQueue{Queue: memoryqueue.New(memoryqueue.Options{})}
	o := options(t, store)
	o.Engine.Queue = q
	first := start(t, o)
	create(t, first, priya, webhook("audit", r.url+"/audit", "tocsin.*"))
	told := r.next(t)
	q.deaf.Store(true)
	c := create(t, first, priya, webhook("b", "https://hooks.example/x", ""))
	first.shutdown(t)
	assert.Empty(t, r.got)

	q.deaf.Store(false)
	o.Engine.Queue = q
	second := start(t, o)
	got := r.next(t)
	assert.Contains(t, got.body, fmt.Sprintf(`"revision":%d`, c.Revision))
	assert.Contains(t, got.body, `"channel":"b"`)
	assert.NotEqual(t, told.header.Get("Webhook-Id"), got.header.Get("Webhook-Id"))
	second.shutdown(t)
	third := start(t, o)
	third.shutdown(t)
	assert.Empty(t, r.got, "what was told is not told again")
}

func TestEventOfAChangeHasTheSameIDEachTime(t *testing.T) {
	t.Parallel()
	store := manage.NewMemory()
	q := &deafQueue{Queue: memoryqueue.New(memoryqueue.Options{})}
	q.deaf.Store(true)
	o := options(t, store)
	o.Engine.Queue = q
	ids := map[string]bool{}
	for i := range 3 {
		s := start(t, o)
		if i == 0 {
			create(t, s, priya, webhook("audit", "https://hooks.example/x", "tocsin.*"))
		}
		s.shutdown(t)
		record, err := store.Get(t.Context(), "acme")
		require.NoError(t, err)
		assert.Contains(t, string(record.Content), `"changes":[{`)
		assert.EqualValues(t, 1, record.Revision)
		ids[string(record.Content)] = true
	}
	assert.Len(t, ids, 1, "what is stored is the same as long as it is not told")
}

// A change of long fields is recorded in short, so that it neither fills the store nor makes an event too large.
func TestLongDifferencesAreShortened(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	s := start(t, options(t, store))
	in := func(c string) manage.ChannelInput {
		text, err := json.Marshal(map[string]any{"type": "webhook", "name": "a", "url": r.url, "body": map[string]any{
			"kind": "template", "template": `{"text": "` + strings.Repeat(c, 100_000) + `"}`}})
		require.NoError(t, err)
		return manage.ChannelInput{Channel: text}
	}
	create(t, s, priya, in("a"))
	_, err := s.Replace(t.Context(), priya, "a", "", in("b"))
	require.NoError(t, err)
	stored, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	assert.Less(t, len(stored.Content), 110_000)
	events := s.audit.of(event.TypeChannelUpdated)
	require.Len(t, events, 1)
	assert.Less(t, len(events[0].JSON()), 5000)
	assert.Contains(t, string(events[0].JSON()), "bbb…")
}
