package folderdocs

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// lockName is the file that is locked during a change. It is never removed: another process may be waiting for it.
const lockName = "lock"

// Pauses between two looks at a lock that another process has.
const (
	minLockPause = time.Millisecond
	maxLockPause = 20 * time.Millisecond
)

// lock waits until no other process, and no other caller in this one, changes the folder; unlock ends that. The system
// ends the lock of a process that was killed.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.changing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := os.OpenFile(filepath.Join(s.path, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		<-s.changing
		return nil, err
	}
	unlock = func() {
		_ = f.Close() // which ends the lock
		<-s.changing
	}
	for pause := minLockPause; ; pause = min(2*pause, maxLockPause) {
		locked, err := tryLock(f)
		if locked {
			return unlock, nil
		}
		if err != nil {
			unlock()
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			unlock()
			return nil, ctx.Err()
		}
	}
}
