package natsdocs

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// follower reads the changes of a bucket one after the other, from the leader of its stream: there is no subscription
// that could end unnoticed.
type follower struct {
	store   *Store
	created time.Time // of the stream; zero = it was not asked for yet
	through uint64    // the number of the last message that was read
	whole   bool      // everything up to there was read, and not only what is there by now
	heads   map[string]manage.Revision
}

// state asks for the stream's creation and the number of its last message.
func (f *follower) state(ctx context.Context) (created time.Time, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.store.timeout)
	defer cancel()
	stream, err := jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) {
		return f.store.js.Stream(ctx, jsapi.BucketStream(f.store.bucket))
	})
	if err != nil {
		return time.Time{}, 0, err
	}
	info := stream.CachedInfo()
	return info.Created, info.State.LastSeq, nil
}

// start begins behind the last change.
func (f *follower) start(ctx context.Context) (err error) {
	f.created, f.through, err = f.state(ctx)
	f.whole = true
	return err
}

// catchUp reads what has changed since it last did, keeps it in heads if there are any, and returns it. After an error
// it returns what was read before that, and the next call goes on from there.
func (f *follower) catchUp(ctx context.Context) (changes []manage.Change, err error) {
	created, last, err := f.state(ctx)
	if err != nil {
		return nil, err
	}
	if !f.created.IsZero() && (!created.Equal(f.created) || last < f.through) {
		f.through, f.whole = 0, false
		clear(f.heads)
		changes = append(changes, manage.Change{Resync: true})
	}
	f.created = created
	// The first time it reads until nothing follows. A document that is replaced meanwhile moves behind what was the
	// last message, and would be missing until the next time.
	for f.through < last || !f.whole {
		key, m, err := f.next(ctx)
		if jsapi.IsNotFound(err) {
			f.whole = true
			break
		}
		if err != nil {
			return changes, err
		}
		f.through = uint64(m.revision)
		tenant, ok := tenantOf(key)
		if !ok {
			continue
		}
		if f.heads != nil {
			if m.deleted {
				delete(f.heads, tenant)
			} else {
				f.heads[tenant] = m.revision
			}
		}
		changes = append(changes, manage.Change{Head: manage.Head{Tenant: tenant, Revision: m.revision}})
	}
	return changes, nil
}

// next reads the next message.
func (f *follower) next(ctx context.Context) (key string, m message, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.store.timeout)
	defer cancel()
	return f.store.read(ctx, jsapi.Query{Seq: f.through + 1, NextOf: f.store.subjects() + ">"})
}
