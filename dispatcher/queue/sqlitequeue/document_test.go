package sqlitequeue

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
)

func TestDocumentsConform(t *testing.T) {
	t.Parallel()
	managetest.Run(t, managetest.Suite{
		New:   func(t *testing.T) manage.Documents { return newQueue(t).Documents() },
		Close: func(d manage.Documents) error { return d.(documents).queue.Close() },
		Process: &managetest.Process{
			Store: newPath,
			Open:  func(t *testing.T, store string) manage.Documents { return openAt(t, store).Documents() },
			Kills: kills(),
		},
	})
}

// Documents and what they were outlast a restart, also the revisions of those that were deleted.
func TestDocumentsOutlastARestart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	q := newQueue(t)
	_, err := q.Documents().Put(ctx, "a", manage.Record{Content: []byte("1")}, 0)
	require.NoError(t, err)
	b, err := q.Documents().Put(ctx, "b", manage.Record{}, 0)
	require.NoError(t, err)
	_, err = q.Documents().Delete(ctx, "b", b)
	require.NoError(t, err)
	q = reopen(t, q)
	r, err := q.Documents().Get(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, manage.Record{Revision: 1, Content: []byte("1")}, r)
	_, err = q.Documents().Get(ctx, "b")
	require.ErrorIs(t, err, manage.ErrNotFound)
	b, err = q.Documents().Put(ctx, "b", manage.Record{}, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 3, b)
}

// A change that is stored after its caller has gone is told all the same.
func TestWatchTellsWhatIsStoredAfterItsCallerHasGone(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	d := q.Documents()
	changes, err := d.Watch(t.Context())
	require.NoError(t, err)
	held, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- q.write(t.Context(), "hold", func(*tx) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	call := waitingContext{ctx, make(chan struct{})}
	stopped := make(chan error, 1)
	go func() {
		_, err := d.Put(call, "a", manage.Record{}, 0)
		stopped <- err
	}()
	<-call.waits
	cancel()
	err = <-stopped
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, manage.ErrUnchanged)
	close(release)
	require.NoError(t, <-first)
	assert.Equal(t, manage.Change{Head: manage.Head{Tenant: "a", Revision: 1}}, <-changes)
}

// waitingContext notes that somebody waits for its end.
type waitingContext struct {
	context.Context
	waits chan struct{}
}

func (c waitingContext) Done() <-chan struct{} {
	close(c.waits)
	return c.Context.Done()
}

// A page of the list is read from an index alone, and a document by its tenant.
func TestDocumentPlans(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	list := planOf(t, q, "SELECT tenant, revision FROM document INDEXED BY document_list WHERE deleted = 0 AND tenant > x'00' ORDER BY tenant LIMIT 5")
	assert.Contains(t, list, "USING COVERING INDEX document_list (tenant>?)")
	assert.NotContains(t, list, "TEMP B-TREE")
	assert.Contains(t, planOf(t, q, "SELECT revision, content FROM document WHERE tenant = x'00' AND deleted = 0"), "(tenant=?)")
}
