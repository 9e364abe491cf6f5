// Package natsdocs stores tenants' documents in a JetStream key-value bucket, for any number of processes.
//
// A document's revision is the number of its message in the bucket's stream. Each change is one confirmed write that
// succeeds only if the document is as it was last read. Reads are answered by the leader of the stream, so they see
// what was written. A deleted document leaves an empty message. A key is the tenant in base64 (URL alphabet, without
// padding). A bucket that somebody else made is refused and left as it is.
//
// With Replicas 3 the documents survive the loss of a server; they are kept in files, with the same limits as package
// natsqueue describes. A document is one message: the servers' max_payload, 1 MiB unless configured, bounds it; see
// [Store.MaxSize].
package natsdocs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/internal/watch"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Config configures a Store. Replicas is required; the zero value of every other field is its default.
type Config struct {
	Bucket   string        // name of the bucket: letters, digits, "-" and "_"; "" = "tocsin-documents"
	Replicas int           // on how many servers each document is stored: 1, 3 or 5
	Timeout  time.Duration // bounds a call whose ctx has no earlier deadline, and each request of List; 0 = 5 s
	Poll     time.Duration // how often each Watch asks for changes; 0 = 500 ms
}

const (
	defaultBucket  = "tocsin-documents"
	defaultTimeout = 5 * time.Second
	defaultPoll    = 500 * time.Millisecond
	bucketVersion  = 1
)

// BucketError says that a bucket is not one of this package, or one of a newer version. It was not changed.
type BucketError struct {
	Bucket string
	Found  string // the version written at the bucket; "" = none
}

func (e *BucketError) Error() string {
	if e.Found == "" {
		return fmt.Sprintf("natsdocs: bucket %q is not one of this package: choose another Config.Bucket", e.Bucket)
	}
	return fmt.Sprintf("natsdocs: bucket %q has version %s, this program knows %d: update the program", e.Bucket, e.Found, bucketVersion)
}

// Store is a manage.Documents in a bucket. Close it before its connection.
type Store struct {
	js      jetstream.JetStream
	bucket  string
	timeout time.Duration
	poll    time.Duration
	scope   watch.Scope

	listing chan struct{} // has room for one: the call that uses index
	index   follower      // of all documents
}

var _ manage.Documents = (*Store)(nil)

// New makes the bucket, or finds it, and returns the store. The errors are joined *channel.ConfigErrors, a *BucketError
// for a bucket of somebody else, which is left as it is, or JetStream's own in a *manage.StoreError.
func New(ctx context.Context, nc *nats.Conn, c Config) (*Store, error) {
	if c.Bucket == "" {
		c.Bucket = defaultBucket
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	if err := jsapi.ValidateBucket("natsdocs", "documents", c.Bucket, c.Replicas); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, &manage.StoreError{Op: "open", Err: err}
	}
	err = jsapi.EnsureBucket(ctx, js, jsapi.Bucket(c.Bucket, "Tocsin: documents of tenants", c.Replicas, bucketVersion))
	if version, ok := errors.AsType[*jsapi.VersionError](err); ok {
		return nil, &BucketError{Bucket: c.Bucket, Found: version.Found}
	}
	if err != nil {
		return nil, &manage.StoreError{Op: "open", Err: err}
	}
	s := &Store{js: js, bucket: c.Bucket, timeout: c.Timeout, poll: c.Poll, listing: make(chan struct{}, 1)}
	s.index = follower{store: s, heads: map[string]manage.Revision{}}
	return s, nil
}

// Close closes the channels of Watch and waits for their goroutines. Calls after it are manage.ErrClosed. The
// connection stays open.
func (s *Store) Close() { s.scope.Close() }

// headroom is what a message has besides the document, at most: headers, in bytes.
const headroom = 512

// MaxSize is how large a document may be in bytes: somewhat less than the max_payload of the servers, and at most
// manage.MaxContent.
func (s *Store) MaxSize() int {
	return min(int(s.js.Conn().MaxPayload())-headroom, manage.MaxContent)
}

// validate checks a call.
func (s *Store) validate(ctx context.Context, tenant string) error {
	if err := manage.ValidateCall(ctx, tenant); err != nil {
		return err
	}
	if s.scope.Closed() {
		return manage.ErrClosed
	}
	return nil
}

// storeError makes err a *manage.StoreError unless it is ctx's.
func storeError(ctx context.Context, op, tenant string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return &manage.StoreError{Op: op, Tenant: tenant, Err: err}
}

// Get implements manage.Documents.
func (s *Store) Get(ctx context.Context, tenant string) (manage.Record, error) {
	if err := s.validate(ctx, tenant); err != nil {
		return manage.Record{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := s.last(bounded, tenant)
	if err != nil {
		return manage.Record{}, storeError(ctx, "get", tenant, err)
	}
	if m.deleted {
		return manage.Record{}, manage.ErrNotFound
	}
	return manage.Record{Revision: m.revision, Content: append([]byte{}, m.content...)}, nil
}

// List implements manage.Documents. The first call reads every document, one after the other; later ones read those
// that have changed since.
func (s *Store) List(ctx context.Context, after string, limit int) ([]manage.Head, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.scope.Closed() {
		return nil, manage.ErrClosed
	}
	select {
	case s.listing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.listing }()
	if _, err := s.index.catchUp(ctx); err != nil {
		return nil, storeError(ctx, "list", "", err)
	}
	heads := []manage.Head{}
	for tenant, revision := range s.index.heads {
		if tenant > after {
			heads = append(heads, manage.Head{Tenant: tenant, Revision: revision})
		}
	}
	slices.SortFunc(heads, func(a, b manage.Head) int { return strings.Compare(a.Tenant, b.Tenant) })
	return heads[:min(len(heads), max(limit, 1))], nil
}

// Watch implements manage.Documents. It asks for changes, and goes on where it was when the servers were not to be
// reached. A bucket that was made again is told as Resync.
func (s *Store) Watch(ctx context.Context) (<-chan manage.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := &follower{store: s}
	if err := f.start(ctx); err != nil {
		return nil, storeError(ctx, "watch", "", err)
	}
	changes, ok := watch.Poll(ctx, &s.scope, s.poll, func(ctx context.Context) []manage.Change {
		changes, _ := f.catchUp(ctx) // what could not be read is asked for again
		return changes
	})
	if !ok {
		return nil, manage.ErrClosed
	}
	return changes, nil
}
