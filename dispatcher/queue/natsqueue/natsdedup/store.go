package natsdedup

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dedup"
)

// Config configures a Store. Replicas is required; the zero value of every other field is its default.
type Config struct {
	Bucket   string        // name of the bucket: letters, digits, "-" and "_"; "" = "tocsin-dedup"
	Replicas int           // on how many servers each key is stored: 1, 3 or 5
	Timeout  time.Duration // bounds a call whose ctx has no earlier deadline; 0 = 5 s
}

// Defaults of Config.
const (
	DefaultBucket  = "tocsin-dedup"
	DefaultTimeout = 5 * time.Second
)

// ConfigError says what is wrong with a Config.
type ConfigError struct{ Field, Problem, Remedy string }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("natsdedup: Config.%s %s: %s", e.Field, e.Problem, e.Remedy)
}

// Store is a dedup.Store. It needs no closing.
type Store struct {
	js      jetstream.JetStream
	bucket  string
	timeout time.Duration
}

var _ dedup.Store = (*Store)(nil)

// New makes the bucket, or finds it, and returns the store. The errors are a *ConfigError or JetStream's own.
func New(ctx context.Context, nc *nats.Conn, c Config) (*Store, error) {
	if c.Bucket == "" {
		c.Bucket = DefaultBucket
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if !slices.Contains([]int{1, 3, 5}, c.Replicas) {
		return nil, &ConfigError{"Replicas", "is not 1, 3 or 5", "say on how many servers keys are stored"}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("natsdedup: %w", err)
	}
	bucket := jetstream.KeyValueConfig{
		Bucket: c.Bucket, Description: "Tocsin: what was delivered", History: 1, Storage: jetstream.FileStorage, Replicas: c.Replicas,
		LimitMarkerTTL: time.Second, // keys have times to live of their own
	}
	if _, err = js.CreateKeyValue(ctx, bucket); errors.Is(err, jetstream.ErrBucketExists) {
		_, err = js.UpdateKeyValue(ctx, bucket)
	}
	if errors.Is(err, jetstream.ErrInvalidBucketName) {
		return nil, &ConfigError{"Bucket", "has other characters", `use letters, digits, "-" and "_"`}
	}
	if err != nil {
		return nil, fmt.Errorf("natsdedup: bucket %q: %w", c.Bucket, err)
	}
	return &Store{js: js, bucket: c.Bucket, timeout: c.Timeout}, nil
}

// Claim implements dedup.Store.
func (s *Store) Claim(ctx context.Context, key string, lease time.Duration) (dedup.Claim, error) {
	if err := check(ctx, key, lease); err != nil {
		return dedup.Claim{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	subject := s.subject(key)
	for last := uint64(0); ; {
		ends := time.Now().Add(lease)
		seq, err := s.put(ctx, subject, entry{ends: ends}, lease, last)
		if err == nil {
			return dedup.Claim{State: dedup.Acquired, Token: token{seq: seq, ends: ends.UnixNano()}.String()}, nil
		}
		if !isConflict(err) {
			return dedup.Claim{}, err
		}
		found, seq, err := s.get(ctx, subject)
		if err != nil {
			return dedup.Claim{}, err
		}
		if left := time.Until(found.ends); left > 0 {
			state := dedup.InFlight
			if found.done {
				state = dedup.Done
			}
			return dedup.Claim{State: state, Remaining: left}, nil
		}
		// It is at an end. When what refused us is still on its way through the replicas, this reads the one before.
		if seq == last {
			pause(ctx)
		}
		last = seq
	}
}

// pause waits a moment, or until ctx is done.
func pause(ctx context.Context) {
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Commit implements dedup.Store.
func (s *Store) Commit(ctx context.Context, key, t string, ttl time.Duration) error {
	if err := check(ctx, key, ttl); err != nil {
		return err
	}
	return s.settle(ctx, key, t, entry{done: true, ends: time.Now().Add(ttl)}, ttl)
}

// Release implements dedup.Store.
func (s *Store) Release(ctx context.Context, key, t string) error {
	if err := check(ctx, key, 1); err != nil {
		return err
	}
	return s.settle(ctx, key, t, entry{}, 1)
}

// settle replaces the owner's claim.
func (s *Store) settle(ctx context.Context, key, t string, with entry, ttl time.Duration) error {
	own, ok := readToken(t)
	if !ok || time.Now().UnixNano() >= own.ends {
		return dedup.ErrLost
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err := s.put(ctx, s.subject(key), with, ttl, own.seq)
	if isConflict(err) {
		return dedup.ErrLost
	}
	return err
}

func check(ctx context.Context, key string, d time.Duration) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case key == "":
		return dedup.ErrEmptyKey
	case d <= 0:
		return dedup.ErrDuration
	}
	return nil
}

func (s *Store) subject(key string) string { return "$KV." + s.bucket + "." + dedup.Key([]byte(key)) }

// put writes an entry if the last one of its subject is the given one; 0 = there is none.
func (s *Store) put(ctx context.Context, subject string, e entry, ttl time.Duration, last uint64) (uint64, error) {
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: e.bytes()},
		jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithMsgTTL(rounded(ttl)))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// rounded is a time to live the server takes: whole seconds, one more so that our clock decides, and no end for the longest.
func rounded(d time.Duration) time.Duration {
	const longest = 100 * 365 * 24 * time.Hour
	return (min(d, longest) + 2*time.Second - 1).Truncate(time.Second)
}

// get reads the last entry of a subject and its number, from the leader: a direct read of the client's may be answered by a
// replica that has not heard of the latest. One that is not there is at an end, with number 0.
func (s *Store) get(ctx context.Context, subject string) (entry, uint64, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return entry{}, 0, err
	}
	answer, err := s.js.Conn().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET.KV_"+s.bucket, request)
	if err != nil {
		return entry{}, 0, err
	}
	var a struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return entry{}, 0, err
	}
	switch {
	case a.Error == nil:
		return readEntry(a.Message.Data), a.Message.Seq, nil
	case a.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return entry{}, 0, nil
	}
	return entry{}, 0, a.Error
}

// isConflict reports whether an entry was refused because the last one is another.
func isConflict(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// entry is what is stored for a key: a version, whether it is done, and when that ends. An empty or unknown one is at an end.
type entry struct {
	done bool
	ends time.Time
}

const (
	entryVersion = 1
	entrySize    = 10
)

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
	return binary.BigEndian.AppendUint64(b, uint64(ends))
}

func readEntry(b []byte) entry {
	if len(b) != entrySize || b[0] != entryVersion {
		return entry{}
	}
	return entry{done: b[1] == 1, ends: time.Unix(0, int64(binary.BigEndian.Uint64(b[2:])))}
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
