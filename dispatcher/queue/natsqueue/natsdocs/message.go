package natsdocs

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Headers of a message.
const (
	writeHeader     = "Tocsin-Write" // tells a call the message of its own
	operationHeader = "KV-Operation" // of the key-value store
	deleteOperation = "DEL"
)

// message is the last one of a tenant. Without any it is deleted, with revision 0.
type message struct {
	revision manage.Revision
	content  []byte
	deleted  bool
	write    string
}

// keyOf is the key of a tenant.
func keyOf(tenant string) string { return base64.RawURLEncoding.EncodeToString([]byte(tenant)) }

// tenantOf is the tenant of a key; ok is false for a key that somebody else has put there.
func tenantOf(key string) (tenant string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(b) == 0 || len(b) > manage.MaxTenant || keyOf(string(b)) != key { // it passes over line ends
		return "", false
	}
	return string(b), true
}

func (s *Store) subjects() string { return "$KV." + s.bucket + "." }

func (s *Store) subject(tenant string) string { return s.subjects() + keyOf(tenant) }

// last reads the last message of a tenant from the leader.
func (s *Store) last(ctx context.Context, tenant string) (message, error) {
	_, m, err := s.read(ctx, jsapi.Query{LastOf: s.subject(tenant)})
	if jsapi.IsNotFound(err) {
		return message{deleted: true}, nil
	}
	return m, err
}

// read reads a message and its key.
func (s *Store) read(ctx context.Context, q jsapi.Query) (key string, m message, err error) {
	raw, err := jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return jsapi.Message(ctx, s.js.Conn(), jsapi.BucketStream(s.bucket), q)
	})
	if err != nil {
		return "", message{}, err
	}
	return strings.TrimPrefix(raw.Subject, s.subjects()), message{
		revision: manage.Revision(raw.Sequence), content: raw.Data,
		deleted: raw.Header.Get(operationHeader) != "", write: raw.Header.Get(writeHeader),
	}, nil
}

// Put implements manage.Documents. A document of more than MaxSize is a *manage.SizeError.
func (s *Store) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if most := s.MaxSize(); len(r.Content) > most {
		return 0, &manage.SizeError{Tenant: tenant, Size: len(r.Content), Max: most}
	}
	return s.replace(ctx, change{op: "put", tenant: tenant, content: append([]byte{}, r.Content...), expect: expect})
}

// Delete implements manage.Documents.
func (s *Store) Delete(ctx context.Context, tenant string, expect manage.Revision) (manage.Revision, error) {
	return s.replace(ctx, change{op: "delete", tenant: tenant, deleted: true, expect: expect})
}

// change is one call that changes a document.
type change struct {
	op      string
	tenant  string
	content []byte
	deleted bool
	expect  manage.Revision
}

// errOvertaken says why an outcome stays unknown.
var errOvertaken = errors.New("the servers' answer was lost, and somebody else has changed the document since: " +
	"it is unknown whether this change was made before that")

// replace writes a message in the place of the one that was read. When the answer to a write is lost with a server, it
// writes again; so a conflict may be one with its own message, which it knows.
func (s *Store) replace(ctx context.Context, c change) (manage.Revision, error) {
	if err := s.validate(ctx, c.tenant); err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	own := rand.Text()
	sent, pause := false, jsapi.MinPause
	failed := func(err error) (manage.Revision, error) {
		err = storeError(ctx, c.op, c.tenant, err)
		if !sent {
			err = manage.Unchanged(err)
		}
		return 0, err
	}
	for {
		found, err := s.last(bounded, c.tenant)
		if err != nil {
			return failed(err)
		}
		if found.write == own {
			return found.revision, nil
		}
		current := found.revision
		if found.deleted {
			current = 0
		}
		if current != c.expect || current == 0 && c.deleted {
			if sent {
				return failed(errOvertaken)
			}
			return 0, &manage.ConflictError{Tenant: c.tenant, Expected: c.expect, Current: current}
		}
		ack, err := jsapi.Once(bounded, func(ctx context.Context) (*jetstream.PubAck, error) {
			one, cancel := context.WithTimeout(ctx, jsapi.Timeout)
			defer cancel()
			return s.js.PublishMsg(one, s.message(c, own), jetstream.WithExpectLastSequencePerSubject(uint64(found.revision)),
				jetstream.WithRetryAttempts(0))
		})
		after := readPause
		switch {
		case err == nil:
			return manage.Revision(ack.Sequence), nil
		case jsapi.IsConflict(err):
			// Whose message it was is read next; it may still be on its way through the replicas.
		case jsapi.IsUnanswered(err):
			sent, after, pause = true, pause, min(2*pause, jsapi.MaxPause)
		default:
			if _, refused := errors.AsType[*jetstream.APIError](err); !refused {
				sent = true
			}
			return failed(fmt.Errorf("the servers do not take it: %w", err))
		}
		if !jsapi.Sleep(bounded, after) {
			return failed(bounded.Err())
		}
	}
}

// readPause is how long to wait before reading again what was not there yet.
const readPause = 5 * time.Millisecond

// message is what is sent for a change.
func (s *Store) message(c change, own string) *nats.Msg {
	m := nats.NewMsg(s.subject(c.tenant))
	m.Data = c.content
	m.Header.Set(writeHeader, own)
	if c.deleted {
		m.Header.Set(operationHeader, deleteOperation)
	}
	return m
}
