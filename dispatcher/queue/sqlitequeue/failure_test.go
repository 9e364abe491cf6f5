package sqlitequeue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// logbook keeps what is logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) lines(with string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, with) {
			n++
		}
	}
	return n
}

func logged() (*logbook, Options) {
	book := new(logbook)
	return book, Options{Logger: slog.New(slog.NewTextHandler(book, nil))}
}

// fill enqueues until the queue refuses, and returns what was acknowledged.
func fill(t *testing.T, q *Queue, route string) (acked []string, refused error) {
	t.Helper()
	return fillBy(t, q, route, 1)
}

// fillBy is fill with several jobs at a time.
func fillBy(t *testing.T, q *Queue, route string, each int) (acked []string, refused error) {
	t.Helper()
	for n := 0; n < 100_000; n += each {
		batch := make([]queue.Job, each)
		for i := range batch {
			batch[i] = job(fmt.Sprintf("%s-%d", route, n+i), route)
		}
		if refused = q.Enqueue(t.Context(), batch...); refused != nil {
			return acked, refused
		}
		for _, j := range batch {
			acked = append(acked, j.Event.ID())
		}
	}
	require.FailNow(t, "it is never full")
	return nil, nil
}

// fullDisk goes through all that a full disk means; spoil fills it, makeRoom empties it.
func fullDisk(t *testing.T, path string, spoil func(q *Queue), makeRoom func(q *Queue)) {
	t.Helper()
	book, o := logged()
	q := openWith(t, path, o)
	proceed := make(chan struct{})
	r := newRan()
	serve(t, q, "running", 2, func(ctx context.Context, j queue.Job) queue.Disposition {
		r.add(j)
		<-proceed
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, q.Enqueue(t.Context(), jobs("running", 6)...))
	r.await(t, 2)

	spoil(q)
	acked, err := fill(t, q, "later")
	var full *StoreError
	require.ErrorAs(t, err, &full)
	require.ErrorIs(t, err, ErrFull)
	assert.Equal(t, sqlite3.SQLITE_FULL, full.Code&primary)
	assert.ErrorContains(t, err, "make room")
	assert.Equal(t, 1, book.lines("level=ERROR"), "one line, however long it lasts")
	refused := job(fmt.Sprintf("later-%d", len(acked)), "later")
	require.ErrorIs(t, q.Enqueue(t.Context(), refused), ErrFull)
	require.ErrorIs(t, q.Schedule(t.Context(), "key", refused), ErrFull)
	assert.Equal(t, len(acked), count(t, q, "later").Due, "nothing more is stored than was acknowledged")
	close(proceed) // outcomes may have to wait for room, and with them the lane

	makeRoom(q)
	eventually(t, func() bool { return q.Enqueue(t.Context(), refused) == nil }, "it is stored once there is room")
	r.await(t, 6)
	eventually(t, func() bool { return count(t, q, "running") == queue.Counts{} }, "outcomes are stored once there is room")
	later := newRan()
	serve(t, q, "later", 4, later.done)
	later.await(t, len(acked)+1)
	for id, n := range later.ids() {
		assert.Equal(t, 1, n, id)
	}
	for id, n := range r.ids() {
		assert.Equal(t, 1, n, "%s: an outcome that could not be stored at once is no repeat", id)
	}
	assert.Equal(t, 1, book.lines("can be written again"))
}

// TestFullFile: SQLite's own limit stands for the disk's, which works everywhere.
func TestFullFile(t *testing.T) {
	t.Parallel()
	fullDisk(t, newPath(t),
		func(q *Queue) { script(t, q, "PRAGMA max_page_count = 150") },
		func(q *Queue) { script(t, q, "PRAGMA max_page_count = 1000000") })
}

func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	book, o := logged()
	q := openWith(t, newPath(t), o)
	require.NoError(t, q.Enqueue(t.Context(), job("before", "a")))
	script(t, q, "PRAGMA query_only = ON")
	err := q.Enqueue(t.Context(), job("while", "a"))
	require.ErrorIs(t, err, ErrReadOnly)
	assert.ErrorContains(t, err, "permissions")
	assert.NotContains(t, err.Error(), "because", "no payload")
	r := newRan()
	serve(t, q, "a", 1, r.done)
	r.await(t, 1)
	require.ErrorIs(t, q.Enqueue(t.Context(), job("while", "a")), ErrReadOnly)
	assert.Equal(t, 1, book.lines("level=ERROR"))
	require.NoError(t, q.Close())

	// The outcome of "before" was never stored, so it is still there.
	_, err = open(t.Context(), q.store.path, o, url.Values{"mode": {"ro"}})
	require.ErrorIs(t, err, ErrReadOnly, "found out when it is opened, not by the first event")
	q = openAt(t, q.store.path)
	assert.Equal(t, queue.Counts{Due: 1}, count(t, q, "a"))
}

// TestForeignLock: somebody looks at the file with a tool, and forgets to end a transaction.
func TestForeignLock(t *testing.T) {
	t.Parallel()
	_, o := logged()
	q := openWith(t, newPath(t), o)
	script(t, q, "PRAGMA busy_timeout = 50")
	tool, err := connect(t.Context(), dsn(q.store.path, url.Values{}))
	require.NoError(t, err)
	require.NoError(t, tool.script(pragmas+"; BEGIN IMMEDIATE"))
	err = q.Enqueue(t.Context(), job("e", "a"))
	require.ErrorIs(t, err, ErrBusy)
	assert.ErrorContains(t, err, "end their transactions")
	require.NoError(t, tool.script("COMMIT"))
	require.NoError(t, tool.close())
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
}

func TestOddPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "100% of? the #queue ü.db")
	q := openAt(t, path)
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, info.Mode().IsRegular())
}

// spoilPages overwrites pages of a closed file that are of a table's tree: the first third of its leaves, or its root.
func spoilPages(t *testing.T, path, table string, root bool) {
	t.Helper()
	c, err := connect(t.Context(), dsn(path, url.Values{}))
	require.NoError(t, err)
	size, err := c.number("PRAGMA page_size")
	require.NoError(t, err)
	var pages []int64
	query := "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
	if root {
		query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
	}
	require.NoError(t, c.each(func(row []driverValue) bool { pages = append(pages, integer(row[0])); return true }, query, table))
	require.NoError(t, c.close())
	require.NotEmpty(t, pages)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	for _, page := range pages[:(len(pages)+2)/3] {
		_, err = file.WriteAt(bytes.Repeat([]byte{0xA5}, int(size)), (page-1)*size)
		require.NoError(t, err)
	}
}

func TestCorruptFile(t *testing.T) {
	t.Parallel()
	t.Run("the table of jobs", func(t *testing.T) {
		t.Parallel()
		q := newQueue(t)
		require.NoError(t, q.Enqueue(t.Context(), jobs("a", 10)...))
		require.NoError(t, q.Close())
		spoilPages(t, q.store.path, "job", true)
		_, err := Open(t.Context(), q.store.path, Options{})
		require.ErrorIs(t, err, ErrCorrupt)
		assert.ErrorContains(t, err, ".recover")
	})
	t.Run("no database at all", func(t *testing.T) {
		t.Parallel()
		path := newPath(t)
		require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a database "), 1000), 0o600))
		_, err := Open(t.Context(), path, Options{})
		require.ErrorIs(t, err, ErrCorrupt)
		_, err = Open(t.Context(), path, Options{})
		require.ErrorIs(t, err, ErrCorrupt, "a failed Open leaves no lock behind")
	})
	t.Run("some events", func(t *testing.T) {
		t.Parallel()
		q := newQueue(t)
		require.NoError(t, q.Enqueue(t.Context(), jobs("damaged", 50)...))
		require.NoError(t, q.Enqueue(t.Context(), jobs("whole", 50)...))
		require.NoError(t, q.Close())
		spoilPages(t, q.store.path, "event", false)
		book, o := logged()
		q = openWith(t, q.store.path, o)
		damaged, whole := newRan(), newRan()
		serve(t, q, "damaged", 4, damaged.done)
		eventually(t, func() bool { return book.lines("cannot be read") == 1 }, "it is said which route waits")
		assert.Equal(t, 1, book.lines("route=damaged"))
		serve(t, q, "whole", 4, whole.done)
		require.NoError(t, q.Enqueue(t.Context(), job("new", "whole")))
		whole.await(t, 51)
		assert.Empty(t, damaged.ids())
		assert.Equal(t, 1, book.lines("route="), "once, however often it is tried")
	})
}

func TestSecondOpener(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	link := filepath.Join(t.TempDir(), "other name")
	require.NoError(t, os.Symlink(q.store.path, link))
	for _, path := range []string{q.store.path, link} {
		_, err := Open(t.Context(), path, Options{})
		var locked *LockedError
		require.ErrorAs(t, err, &locked)
		assert.Equal(t, q.store.path, locked.Path)
		assert.ErrorContains(t, err, "one queue at a time")
	}
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a")), "the owner is not disturbed")
	require.NoError(t, q.Close())
	openAt(t, link)
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
	script(t, q, "PRAGMA user_version = 99")
	require.NoError(t, q.Close())
	before, err := os.ReadFile(q.store.path)
	require.NoError(t, err)
	_, err = Open(t.Context(), q.store.path, Options{})
	var newer *SchemaError
	require.ErrorAs(t, err, &newer)
	assert.Equal(t, SchemaError{Path: q.store.path, Found: 99, Known: len(migrations())}, *newer)
	after, err := os.ReadFile(q.store.path)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(before, after))
}

// TestMigrationsGoForward: each step runs once, with what is there, and a step that fails undoes those before it.
func TestMigrationsGoForward(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	c, err := connect(t.Context(), dsn(path, url.Values{}))
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.close()) }()
	steps := []migration{
		{script: "CREATE TABLE t (n INTEGER) STRICT; INSERT INTO t VALUES (1)"},
		{script: "ALTER TABLE t ADD COLUMN m INTEGER", then: func(c *conn) error { return c.script("UPDATE t SET m = n + 1") }},
		{script: "INSERT INTO t VALUES (3, 4)"},
	}
	require.NoError(t, migrate(c, path, steps[:1]))
	require.NoError(t, migrate(c, path, steps[:1]), "nothing to do")
	require.Error(t, migrate(c, path, append(steps[:3:3], migration{script: "nonsense"})))
	failed := errors.New("failed")
	require.ErrorIs(t, migrate(c, path, append(steps[:3:3], migration{then: func(*conn) error { return failed }})), failed)
	version, err := schemaVersion(c)
	require.NoError(t, err)
	assert.Equal(t, 1, version, "all steps or none")
	require.NoError(t, migrate(c, path, steps))
	sum, err := c.number("SELECT sum(n * 10 + m) FROM t")
	require.NoError(t, err)
	assert.EqualValues(t, 12+34, sum)
	require.ErrorAs(t, migrate(c, path, steps[:2]), new(*SchemaError))
}

// TestOneFailsForNobodyElse: a change that SQLite refuses does not take down those it shares a commit with.
func TestOneFailsForNobodyElse(t *testing.T) {
	t.Parallel()
	_, o := logged()
	q := openWith(t, newPath(t), o)
	started, proceed := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		assert.NoError(t, q.write(context.Background(), "hold up", func(*tx) error { close(started); <-proceed; return nil }))
	})
	<-started
	wg.Go(func() {
		err := q.write(context.Background(), "fail", func(t *tx) error { return t.script("nonsense") })
		assert.ErrorIs(t, err, ErrOther)
	})
	for n := range 5 {
		wg.Go(func() { assert.NoError(t, q.Enqueue(context.Background(), job(fmt.Sprintf("e%d", n), "a"))) })
	}
	eventually(t, func() bool { return q.durable.Stats().Waiting == 6 }, "all wait")
	close(proceed)
	wg.Wait()
	assert.Equal(t, queue.Counts{Due: 5}, count(t, q, "a"))
	require.NoError(t, q.Enqueue(t.Context(), job("e0", "a")), "what was tried twice is known once")
	assert.Equal(t, queue.Counts{Due: 5}, count(t, q, "a"))
}

func TestCallsAfterClose(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	l := serve(t, q, "a", 1, newRan().done)
	store := q.Dedup()
	require.NoError(t, q.Close())
	require.NoError(t, q.Close(), "again")
	ctx := t.Context()
	require.ErrorIs(t, q.Enqueue(ctx, job("e", "a")), ErrClosed)
	require.ErrorIs(t, q.Schedule(ctx, "k", job("e", "a")), ErrClosed)
	_, err := q.Cancel(ctx, "a", "k")
	require.ErrorIs(t, err, ErrClosed)
	_, err = q.Lanes(ctx)
	require.ErrorIs(t, err, ErrClosed)
	_, err = q.Requeue(ctx, queue.Selection{}, 1)
	require.ErrorIs(t, err, ErrClosed)
	_, err = store.Claim(ctx, "k", time.Minute)
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, l.Stop(ctx))
}

// TestCloseCancelsHandlers: whoever forgets to stop the lanes gets their jobs again.
func TestCloseCancelsHandlers(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	began := make(chan struct{})
	serve(t, q, "a", 1, func(ctx context.Context, _ queue.Job) queue.Disposition {
		close(began)
		<-ctx.Done()
		return queue.Disposition{Action: queue.Postpone}
	})
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
	<-began
	q = reopen(t, q)
	r := newRan()
	serve(t, q, "a", 1, r.done)
	r.await(t, 1)
}
