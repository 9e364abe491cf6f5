// Package natsdedup keeps the keys of package dedup in a JetStream key-value bucket, so that a route's window holds
// across all workers: what one has delivered, another does not.
//
// Each claim and commit is one confirmed write that succeeds only if the key is as it was last seen. Leases and
// windows are judged by the clocks of the processes, which therefore must agree to well within a lease; the servers
// remove a key a second or two after its time. A key is stored as its SHA-256, never as it is.
//
// A bucket that somebody else made is refused and left as it is.
//
// With Replicas 3 the keys survive the loss of a server; they are kept in files, with the same limits as package
// natsqueue describes.
package natsdedup

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Config configures a Store. Replicas is required; the zero value of every other field is its default.
type Config struct {
	Bucket   string        // name of the bucket: letters, digits, "-" and "_"; "" = "tocsin-dedup"
	Replicas int           // on how many servers each key is stored: 1, 3 or 5
	Timeout  time.Duration // bounds a call whose ctx has no earlier deadline; 0 = 5 s
}

const (
	defaultBucket  = "tocsin-dedup"
	defaultTimeout = 5 * time.Second
)

// BucketError says that a bucket is not one of this package, or one of a newer version. It was not changed.
type BucketError struct {
	Bucket string
	Found  string // the version written at the bucket; "" = none
}

func (e *BucketError) Error() string {
	if e.Found == "" {
		return fmt.Sprintf("natsdedup: bucket %q is not one of this package: choose another Config.Bucket", e.Bucket)
	}
	return fmt.Sprintf("natsdedup: bucket %q has version %s, this program knows %d: update the program", e.Bucket, e.Found, bucketVersion)
}

// Store is a dedup.Store. It needs no closing.
type Store struct {
	js      jetstream.JetStream
	bucket  string
	timeout time.Duration
}

var _ dedup.Store = (*Store)(nil)

// New makes the bucket, or finds it, and returns the store. The errors are joined *channel.ConfigErrors, a *BucketError
// for a bucket of somebody else, which is left as it is, or JetStream's own.
func New(ctx context.Context, nc *nats.Conn, c Config) (*Store, error) {
	if c.Bucket == "" {
		c.Bucket = defaultBucket
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if err := jsapi.ValidateBucket("natsdedup", "keys", c.Bucket, c.Replicas); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("natsdedup: %w", err)
	}
	err = jsapi.EnsureBucket(ctx, js, bucket(c))
	if version, ok := errors.AsType[*jsapi.VersionError](err); ok {
		return nil, &BucketError{Bucket: c.Bucket, Found: version.Found}
	}
	if err != nil {
		return nil, fmt.Errorf("natsdedup: bucket %q: %w", c.Bucket, err)
	}
	return &Store{js: js, bucket: c.Bucket, timeout: c.Timeout}, nil
}

// bucket is the stream of keys that have times to live. The client would also ask for a marker in place of each that
// has ended. The server writes it a moment later, and when a new claim came in between, the marker stands behind the
// claim, which is lost by that.
func bucket(c Config) jetstream.StreamConfig {
	stream := jsapi.Bucket(c.Bucket, "Tocsin: what was delivered", c.Replicas, bucketVersion)
	stream.AllowMsgTTL = true
	return stream
}

// bucketVersion is the version of buckets this package makes.
const bucketVersion = 1

// Claim implements dedup.Store.
func (s *Store) Claim(ctx context.Context, key string, lease time.Duration) (dedup.Claim, error) {
	if err := dedup.ValidateCall(ctx, key, lease); err != nil {
		return dedup.Claim{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	subject := s.subject(key)
	own := newEntry(false, time.Time{})
	for last := uint64(0); ; {
		own.ends = after(lease)
		seq, err := s.write(ctx, subject, own, lease, last)
		if err == nil {
			return acquired(seq, own), nil
		}
		if !jsapi.IsConflict(err) {
			return dedup.Claim{}, err
		}
		found, seq, err := s.last(ctx, subject)
		if err != nil {
			return dedup.Claim{}, err
		}
		if found.nonce == own.nonce {
			return acquired(seq, found), nil
		}
		if left := time.Until(found.ends); left > 0 {
			state := dedup.InFlight
			if found.done {
				state = dedup.Done
			}
			return dedup.Claim{State: state, Remaining: left}, nil
		}
		// It is at an end. When what refused us is still on its way through the replicas, this reads the one before.
		if seq == last && !jsapi.Sleep(ctx, readPause) {
			return dedup.Claim{}, ctx.Err()
		}
		last = seq
	}
}

func acquired(seq uint64, e entry) dedup.Claim {
	return dedup.Claim{State: dedup.Acquired, Token: token{seq: seq, ends: e.ends.UnixNano()}.String()}
}

// readPause is how long to wait before reading again what was not there yet.
const readPause = 5 * time.Millisecond

// Commit implements dedup.Store.
func (s *Store) Commit(ctx context.Context, key, t string, ttl time.Duration) error {
	if err := dedup.ValidateCall(ctx, key, ttl); err != nil {
		return err
	}
	return s.replaceClaim(ctx, key, t, newEntry(true, after(ttl)), ttl)
}

// Release implements dedup.Store.
func (s *Store) Release(ctx context.Context, key, t string) error {
	if err := dedup.ValidateCall(ctx, key, 1); err != nil {
		return err
	}
	return s.replaceClaim(ctx, key, t, newEntry(false, time.Time{}), 1)
}

// replaceClaim replaces the owner's claim.
func (s *Store) replaceClaim(ctx context.Context, key, t string, with entry, ttl time.Duration) error {
	own, ok := readToken(t)
	if !ok || time.Now().UnixNano() >= own.ends {
		return dedup.ErrLost
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for {
		_, err := s.write(ctx, s.subject(key), with, ttl, own.seq)
		if !jsapi.IsConflict(err) {
			return err
		}
		found, seq, err := s.last(ctx, s.subject(key))
		if err != nil || found.nonce == with.nonce {
			return err
		}
		// What refused us may still be on its way through the replicas, and be our own.
		if seq != own.seq || !jsapi.Sleep(ctx, readPause) {
			return dedup.ErrLost
		}
	}
}

func (s *Store) subject(key string) string { return "$KV." + s.bucket + "." + dedup.Key([]byte(key)) }

// write writes an entry if the last one of its subject is the given one; 0 = there is none. When the answer is lost
// with a server, it writes again; so a conflict may be one with the entry itself, which lives as long as a call may
// last.
func (s *Store) write(ctx context.Context, subject string, e entry, ttl time.Duration, last uint64) (uint64, error) {
	ack, err := jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.PubAck, error) {
		return s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: e.bytes()},
			jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithMsgTTL(rounded(max(ttl, s.timeout))))
	})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// longest stands for any longer duration, which would otherwise wrap round to the past.
const longest = 100 * 365 * 24 * time.Hour

func after(d time.Duration) time.Time { return time.Now().Add(min(d, longest)) }

// rounded is a time to live the server takes: whole seconds, one more so that our clock decides.
func rounded(d time.Duration) time.Duration {
	return (min(d, longest) + 2*time.Second - 1).Truncate(time.Second)
}

// last reads the last entry of a subject and its number from the leader. One that is not there is at an end, with
// number 0.
func (s *Store) last(ctx context.Context, subject string) (entry, uint64, error) {
	m, err := jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return jsapi.Message(ctx, s.js.Conn(), jsapi.BucketStream(s.bucket), jsapi.Query{LastOf: subject})
	})
	if jsapi.IsNotFound(err) {
		return entry{}, 0, nil
	}
	if err != nil {
		return entry{}, 0, err
	}
	return readEntry(m.Data), m.Sequence, nil
}

// entry is what is stored for a key: a version, whether it is done, when that ends, and a number of its own, by
// which its writer knows it. An empty or unknown one is at an end.
type entry struct {
	done  bool
	ends  time.Time
	nonce uint64
}

const (
	entryVersion = 1
	entrySize    = 18
)

func newEntry(done bool, ends time.Time) entry {
	return entry{done: done, ends: ends, nonce: rand.Uint64()} //nolint:gosec // no secret: it tells a writer's own entry
}

func (e entry) bytes() []byte {
	b := make([]byte, 0, entrySize)
	b = append(b, entryVersion, 0)
	if e.done {
		b[1] = 1
	}
	ends := int64(0)
	if !e.ends.IsZero() {
		ends = e.ends.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(ends))
	return binary.BigEndian.AppendUint64(b, e.nonce)
}

func readEntry(b []byte) entry {
	if len(b) != entrySize || b[0] != entryVersion {
		return entry{}
	}
	ends := time.Unix(0, int64(binary.BigEndian.Uint64(b[2:])))
	return entry{done: b[1] == 1, ends: ends, nonce: binary.BigEndian.Uint64(b[10:])}
}

// token proves a claim: the number of its message, which no other has, and when the lease ends.
type token struct {
	seq  uint64
	ends int64 // Unix nanoseconds
}

const tokenSize = 16

func (t token) String() string {
	b := binary.BigEndian.AppendUint64(nil, t.seq)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(t.ends)))
}

func readToken(s string) (token, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != tokenSize {
		return token{}, false
	}
	return token{seq: binary.BigEndian.Uint64(b), ends: int64(binary.BigEndian.Uint64(b[8:]))}, true
}
