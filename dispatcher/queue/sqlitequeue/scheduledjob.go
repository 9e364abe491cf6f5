package sqlitequeue

import (
	"context"
)

// scheduledJob is the key under which the ctx of a handler has the named job that it runs.
type scheduledJob struct{}

type startedJob struct {
	lane *lane
	row  *row
}

// startedIn returns the named job of this queue whose handler calls with ctx; nil = none.
func (q *Queue) startedIn(ctx context.Context) *startedJob {
	s, ok := ctx.Value(scheduledJob{}).(*startedJob)
	if !ok || s.lane.queue != q {
		return nil
	}
	return s
}

// unname makes that a job can no longer be cancelled, in the transaction that stores what its handler has made of it: a
// crash before its outcome is stored must not leave both the job to be cancelled and what was made of it.
func (t *tx) unname(s *startedJob) error {
	if s == nil {
		return nil
	}
	_, err := t.exec("UPDATE job SET name = NULL WHERE lane = ? AND due = ? AND seq = ?", s.lane.num, s.row.due, s.row.seq)
	return err
}
