package sqlitequeue

import (
	"context"
	"time"
)

// Kinds of records: keys with a value and an end.
const (
	kindDone      int64 = 1 // a key of dedup that was committed
	kindReference int64 = 2
	kindMail      int64 = 3 // who has got a mail
)

// putRecord stores a value until ttl from now, in place of one that is there.
func (q *Queue) putRecord(ctx context.Context, op string, kind int64, key, value []byte, ttl time.Duration) error {
	return q.write(ctx, op, func(t *tx) error {
		_, err := t.exec("INSERT OR REPLACE INTO record (kind, key, value, ends) VALUES (?, ?, ?, ?)",
			kind, key, blobOrNull(value), later(t.now, ttl))
		t.records++
		return err
	})
}

// removeEnded removes some of the records that have ended, the earliest first, and reports how many.
func (t *tx) removeEnded(limit int64) (int64, error) {
	return t.exec("DELETE FROM record WHERE (kind, key) IN (SELECT kind, key FROM record WHERE ends <= ? ORDER BY ends LIMIT ?)",
		t.now, limit)
}

// endedPerRecord is how many ended records are removed for each one that is stored: more than one, so that they become
// fewer however fast new ones come.
const endedPerRecord = 2

// record returns a value and when it ends; found is false when there is none, or it has ended.
func (q *Queue) record(ctx context.Context, op string, kind int64, key []byte) (value []byte, ends time.Time, found bool, err error) {
	err = q.store.readers.records.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			value, ends, found = blob(v[0]), time.Unix(0, integer(v[1])), true
			return false
		}, "SELECT value, ends FROM record WHERE kind = ? AND key = ? AND ends > ?", kind, key, q.durable.Now())
	})
	return value, ends, found, storeError(op, err)
}
