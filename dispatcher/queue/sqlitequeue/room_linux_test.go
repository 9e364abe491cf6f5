package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// smallDisk mounts a disk in memory. Only root may.
func smallDisk(t *testing.T, size string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH)) })
	return folder
}

// fillUp leaves nothing of a disk.
func fillUp(t *testing.T, folder string) (filler string) {
	t.Helper()
	filler = filepath.Join(folder, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			require.NoError(t, err)
		}
	}
	return filler
}

// TestAQueueThatFillsItsDiskDrains: again and again, with retries, dead letters and delivered keys, which take room as
// well. 12 MiB is the least that is promised to do, with some thousand events at a time.
func TestAQueueThatFillsItsDiskDrains(t *testing.T) {
	t.Parallel()
	folder := smallDisk(t, "12m")
	book, o := logged()
	q := openWith(t, filepath.Join(folder, "queue.db"), o)
	fills := 0 // that were to be logged
	for round := range 3 {
		lane := fmt.Sprintf("lane%d", round)
		acked, err := fillBy(t, q, lane, 10)
		require.ErrorIs(t, err, ErrFull)
		require.Greater(t, len(acked), 3000)
		_, err = fill(t, q, "rest-"+lane) // what is too small for ten
		require.ErrorIs(t, err, ErrFull)
		require.ErrorIs(t, q.Schedule(t.Context(), "key", job("s", lane)), ErrFull)
		require.ErrorIs(t, q.History().Append(t.Context(), history.Entry{Event: kilobyte("h")}), ErrFull)
		assert.Equal(t, fills+1, book.lines("level=ERROR"), "once, however long it lasts")
		fills++
		if round == 1 { // a restart does no harm
			require.NoError(t, q.Close())
			q = openWith(t, q.store.path, o)
			require.ErrorIs(t, q.Enqueue(t.Context(), job("restarted", lane)), ErrFull)
			fills++
		}

		var mu sync.Mutex
		ran, store := map[string]int{}, q.Dedup()
		l := serve(t, q, lane, 8, func(ctx context.Context, j queue.Job) queue.Disposition {
			mu.Lock()
			ran[j.Event.ID()]++
			n := len(ran)
			mu.Unlock()
			c, err := store.Claim(ctx, j.ID(), cleanEvery)
			if assert.NoError(t, err) {
				assert.NoError(t, store.Commit(ctx, j.ID(), c.Token, cleanEvery))
			}
			if n%7 == 0 {
				return queue.Disposition{Action: queue.Dead, Reason: "no use"}
			}
			return queue.Disposition{Action: queue.Done}
		})
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		require.Equal(t, 0, count(t, q, lane).Waiting())
		require.Len(t, ran, len(acked))
		for id, n := range ran {
			require.Equal(t, 1, n, id)
		}
		_, err = q.Discard(t.Context(), queue.Selection{})
		require.NoError(t, err)
		require.NoError(t, q.Enqueue(t.Context(), job(fmt.Sprint("again", round), "other")), "there is room again")
	}
	assert.Equal(t, 3, book.lines("can be written again"))
}

// TestOpenOnAFullDisk, which something else has filled.
func TestOpenOnAFullDisk(t *testing.T) {
	t.Parallel()
	t.Run("after Close", func(t *testing.T) {
		t.Parallel()
		folder := smallDisk(t, "12m")
		_, o := logged()
		q := openWith(t, filepath.Join(folder, "queue.db"), o)
		require.NoError(t, q.Enqueue(t.Context(), jobs("a", 100)...))
		require.NoError(t, q.Close())
		openedOnAFullDisk(t, q.store.path, folder, 100)
	})
	t.Run("after a crash", func(t *testing.T) {
		t.Parallel()
		folder := smallDisk(t, "12m")
		_, o := logged()
		q := openWith(t, newPath(t), o)
		require.NoError(t, q.Enqueue(t.Context(), jobs("a", 100)...))
		path := filepath.Join(folder, "queue.db")
		for _, suffix := range []string{"", "-wal", "-shm"} {
			b, err := os.ReadFile(copyFiles(t, q.store.path) + suffix)
			if suffix == "-shm" {
				b, err = os.ReadFile(q.store.path + suffix)
			}
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+suffix, b, 0o600))
		}
		openedOnAFullDisk(t, path, folder, 100)
	})
}

func openedOnAFullDisk(t *testing.T, path, folder string, waiting int) {
	t.Helper()
	filler := fillUp(t, folder)
	_, o := logged()
	q := openWith(t, path, o)
	require.ErrorIs(t, q.Enqueue(t.Context(), job("refused", "a")), ErrFull)
	assert.Equal(t, queue.Counts{Due: waiting}, count(t, q, "a"))
	r := newRan()
	l := serve(t, q, "a", 2, r.done)
	r.await(t, 2)
	require.NoError(t, os.Remove(filler))
	r.await(t, waiting)
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	for id, n := range r.ids() {
		assert.Equal(t, 1, n, id)
	}
}

// TestAFileIsGivenBackWhileAProgramStarts: a program that this process starts has all files open for a moment, before
// it is the one that runs.
func TestAFileIsGivenBackWhileAProgramStarts(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	inherited, err := syscall.Dup(int(q.store.owner.file.Fd()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, syscall.Close(inherited)) })
	q = reopen(t, q)
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
}
