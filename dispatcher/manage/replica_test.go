package manage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// What one process changes, another one follows.
func TestReplicaFollows(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	one, two := start(t, options(t, store)), start(t, options(t, store))
	c := create(t, one, priya, webhook("a", r.url+"/first", ""))
	eventually(t, func() bool { got, err := two.Get(t.Context(), "acme", "a"); return err == nil && got.ETag == c.ETag }, "it follows")
	dispatch(t, two, "acme")
	assert.Equal(t, "/first", r.next(t).path)

	_, err := two.Replace(t.Context(), priya, "a", c.ETag, webhook("a", r.url+"/second", "*"))
	require.NoError(t, err)
	_, err = one.Replace(t.Context(), priya, "a", c.ETag, webhook("a", r.url+"/third", "*"))
	failure(t, err, manage.CodeStale)
	eventually(t, func() bool { got, err := one.Get(t.Context(), "acme", "a"); return err == nil && got.ETag != c.ETag }, "so does the first")
	dispatch(t, one, "acme")
	assert.Equal(t, "/second", r.next(t).path)

	require.NoError(t, one.Delete(t.Context(), priya, "a", ""))
	eventually(t, func() bool { _, err := two.Get(t.Context(), "acme", "a"); return err != nil }, "deletions too")
}

// Edits of different channels by different processes at the same time all take place.
func TestConcurrentEditsOfDifferentChannels(t *testing.T) {
	t.Parallel()
	store := manage.NewMemory()
	replicas := []*bundle{start(t, options(t, store)), start(t, options(t, store))}
	const each = 8
	var wg sync.WaitGroup
	for i := range 2 * each {
		wg.Go(func() {
			s, name := replicas[i%2], fmt.Sprint(i)
			for range 20 { // more than five others may have been faster
				_, _, err := s.Create(context.WithoutCancel(t.Context()), priya, webhook(name, "https://hooks.example/x", ""))
				if err == nil {
					return
				}
			}
			assert.Fail(t, "never", name)
		})
	}
	wg.Wait()
	for _, s := range replicas {
		eventually(t, func() bool {
			rows, err := s.List(t.Context(), "acme", manage.ListQuery{}, nil)
			return err == nil && len(rows) == 2*each
		}, "both have all")
	}
}

// A channel that cannot be made any more is reported, its events wait, the others run; with the host's mistake
// corrected they are delivered.
func TestBrokenChannelDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	q := memoryqueue.New(memoryqueue.Options{})
	o := options(t, store)
	o.Engine.Queue = q
	first := start(t, o)
	create(t, first, priya, manage.ChannelInput{Channel: []byte(`{"type": "webhook", "name": "lab", "network": "lab", "url": "` + r.url + `/lab"}`)})
	create(t, first, priya, webhook("good", r.url+"/good", ""))
	first.shutdown(t)

	whole := o.Config
	o.Config = func(tenant string) config.Options {
		c := whole(tenant)
		c.Networks = map[string]*netguard.Guard{"public": c.Networks["public"]}
		return c
	}
	second := start(t, o)
	e := dispatch(t, second, "acme")
	assert.Equal(t, "/good", r.next(t).path)
	assert.Len(t, second.audit.of(event.TypeConfigBroken), 1)
	c, err := second.Get(t.Context(), "acme", "lab")
	require.NoError(t, err)
	assert.Contains(t, c.Broken, "network is not offered by the host")
	rows, err := second.List(t.Context(), "acme", manage.ListQuery{Health: manage.HealthFailing}, nil)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, "lab", rows[0].Name)
	assert.Equal(t, 1, rows[0].Queued)
	tenants, err := second.Tenants(t.Context(), "", 0)
	require.NoError(t, err)
	assert.Contains(t, tenants[0].Problem, `channel "lab"`)
	_, err = second.Pause(t.Context(), priya, "good", "") // edits of others are possible, and lose nothing of it
	require.NoError(t, err)
	second.shutdown(t)

	o.Config = whole
	third := start(t, o)
	got := r.next(t)
	assert.Equal(t, "/lab", got.path)
	assert.Contains(t, got.body, e.ID())
	third.shutdown(t)
}

// What cannot be read is not overwritten; its tenant's events are held and delivered once it can be. Other tenants are
// not touched.
func TestUnreadableDocument(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	q := memoryqueue.New(memoryqueue.Options{})
	o := options(t, store)
	o.Engine.Queue = q
	first := start(t, o)
	create(t, first, priya, webhook("a", r.url+"/acme", ""))
	create(t, first, manage.By{Tenant: "globex"}, webhook("a", r.url+"/globex", ""))
	first.shutdown(t)
	good, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	for _, unreadable := range []string{`{"version": 2, "document": {}}`, `not JSON`, `{"version": 1, "document": {"version": 1}, "colour": 1}`, `{"version": 1, "document": {"version": 7}}`} {
		record, err := store.Get(t.Context(), "acme")
		require.NoError(t, err)
		revision, err := store.Put(t.Context(), "acme", manage.Record{Content: []byte(unreadable)}, record.Revision)
		require.NoError(t, err)
		s := start(t, o)
		held := dispatch(t, s, "acme")
		dispatch(t, s, "globex")
		assert.Equal(t, "/globex", r.next(t).path)
		assert.Empty(t, r.got)
		_, _, err = s.Create(t.Context(), priya, webhook("b", r.url, ""))
		failure(t, err, manage.CodeUnreadable)
		assert.Len(t, s.audit.of(event.TypeConfigBroken), 1)
		status, err := s.Status(t.Context(), "acme")
		require.NoError(t, err)
		assert.NotEmpty(t, status.Problem)
		record, err = store.Get(t.Context(), "acme")
		require.NoError(t, err)
		assert.Equal(t, unreadable, string(record.Content))

		_, err = store.Put(t.Context(), "acme", manage.Record{Content: good.Content}, revision)
		require.NoError(t, err)
		got := r.next(t)
		assert.Equal(t, "/acme", got.path)
		assert.Contains(t, got.body, held.ID())
		next := dispatch(t, s, "acme")
		assert.Contains(t, r.next(t).body, next.ID())
		s.shutdown(t)
	}
}

// While a document that was in force becomes unreadable, what was in force stays.
func TestLastGoodDocumentStays(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	s := start(t, options(t, store))
	c := create(t, s, priya, webhook("a", r.url+"/a", ""))
	eventually(t, func() bool {
		record, err := store.Get(t.Context(), "acme")
		require.NoError(t, err)
		_, err = store.Put(t.Context(), "acme", manage.Record{Content: []byte("?")}, record.Revision)
		return err == nil
	}, "somebody overwrites it")
	eventually(t, func() bool { return len(s.audit.of(event.TypeConfigBroken)) == 1 }, "it is told")
	dispatch(t, s, "acme")
	assert.Equal(t, "/a", r.next(t).path)
	got, err := s.Get(t.Context(), "acme", "a")
	require.NoError(t, err)
	assert.False(t, got.Applied)
	_, err = s.Replace(t.Context(), priya, "a", c.ETag, manage.ChannelInput{Channel: c.Channel})
	failure(t, err, manage.CodeUnreadable)
	status, err := s.Engine().Status(t.Context(), dispatcher.StatusFilter{Tenants: []string{"acme"}})
	require.NoError(t, err)
	assert.Len(t, status, 1)
}

// A receiver that hangs delays neither the edit of its own channel for long, nor anybody else's deliveries.
func TestHangingReceiverDelaysNobody(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer hanging.Close()
	defer close(release)
	create(t, s, priya, webhook("slow", hanging.URL, ""))
	create(t, s, priya, webhook("fast", r.url+"/fast", ""))
	create(t, s, manage.By{Tenant: "globex"}, webhook("other", r.url+"/other", ""))
	dispatch(t, s, "acme")
	<-arrived
	assert.Equal(t, "/fast", r.next(t).path)
	edited := make(chan error, 1)
	go func() {
		_, err := s.Replace(t.Context(), priya, "slow", "", webhook("slow", r.url+"/moved", ""))
		edited <- err
	}()
	dispatch(t, s, "globex")
	assert.Equal(t, "/other", r.next(t).path)
	require.NoError(t, <-edited)
	dispatch(t, s, "acme")
	assert.ElementsMatch(t, []string{"/fast", "/moved"}, []string{r.next(t).path, r.next(t).path})
}

// silentGet is a store that lists documents and does not give them, for as long as it is silent.
type silentGet struct {
	manage.Documents

	silent atomic.Bool
}

func (d *silentGet) Get(ctx context.Context, tenant string) (manage.Record, error) {
	if d.silent.Load() {
		return manage.Record{}, errors.New("i/o timeout")
	}
	return d.Documents.Get(ctx, tenant)
}

// A process that starts while the store does not give a document keeps the tenant's events until it does.
func TestEventsWaitForADocumentThatIsNotGiven(t *testing.T) {
	r, store := newReceiver(t), &silentGet{Documents: manage.NewMemory()}
	first := start(t, options(t, store))
	create(t, first, priya, webhook("tickets", r.url, "request.pending"))
	first.shutdown(t)

	store.silent.Store(true)
	s := start(t, options(t, store))
	e := dispatch(t, s, "acme")
	tenants, err := s.Tenants(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, tenants, 1)
	assert.Equal(t, "it could not be read", tenants[0].Problem)

	store.silent.Store(false)
	_, err = s.Disable(t.Context(), manage.By{Tenant: "acme"}, "unknown", "") // which reads the document
	failure(t, err, manage.CodeNotFound)
	assert.Contains(t, r.next(t).body, e.ID())
	tenants, err = s.Tenants(t.Context(), "", 0)
	require.NoError(t, err)
	assert.Empty(t, tenants[0].Problem)
}

// What was held is not in the way of a tenant whose document is gone by then.
func TestDocumentThatIsNotGivenAndThenGone(t *testing.T) {
	store := &silentGet{Documents: manage.NewMemory()}
	revision, err := store.Put(t.Context(), "acme", manage.Record{Content: []byte("no document")}, 0)
	require.NoError(t, err)
	store.silent.Store(true)
	s := start(t, options(t, store))

	_, err = store.Delete(t.Context(), "acme", revision)
	require.NoError(t, err)
	store.silent.Store(false)
	r := newReceiver(t)
	create(t, s, priya, webhook("tickets", r.url, "request.pending"))
	e := dispatch(t, s, "acme")
	assert.Contains(t, r.next(t).body, e.ID())
	status, err := s.Status(t.Context(), "acme")
	require.NoError(t, err)
	assert.Empty(t, status.Problem)
}

// What a process that has not followed yet still queues for a removed channel is not inherited by the next one of that
// name.
func TestRemovedLaneIsEmptiedAgain(t *testing.T) {
	t.Parallel()
	store, r := manage.NewMemory(), newReceiver(t)
	o := options(t, store)
	o.Engine.Queue = memoryqueue.New(memoryqueue.Options{})
	s := start(t, o)
	create(t, s, priya, webhook("a", r.url+"/first", "request.pending"))
	other := o
	other.Documents, other.Engine.Queue = keepOpen{o.Documents}, keepOpenQueue{o.Engine.Queue}
	late, err := manage.New(t.Context(), other)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), priya, "a", ""))
	require.NoError(t, late.Dispatch(t.Context(), pending(t, "acme"))) // it does not run, so it follows nothing
	s.shutdown(t)
	_ = late.Shutdown(t.Context())

	next := start(t, o)
	create(t, next, priya, webhook("a", r.url+"/second", "request.pending"))
	e := dispatch(t, next, "acme")
	got := r.next(t)
	assert.Equal(t, "/second", got.path)
	assert.Contains(t, got.body, e.ID())
	assert.Empty(t, r.got)
}
