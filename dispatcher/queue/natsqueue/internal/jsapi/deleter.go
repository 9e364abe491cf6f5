package jsapi

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Deleter deletes messages of a stream, many at a time and with little work for each. Use NewDeleter.
type Deleter struct {
	nc      *nats.Conn
	subject string
	prefix  string // of the subjects of answers
	answers *nats.Subscription

	mu      sync.Mutex
	last    int
	waiting map[string]deletion // by the end of the subject of the answer
}

// deletion is a request whose answer has not come.
type deletion struct {
	done  func(error)
	since time.Time
}

// mostDeletions bounds the requests on their way.
const mostDeletions = 1024

var (
	errBusy    = errors.New("too many requests are on their way")
	errRefused = errors.New("the message was not deleted")
)

// NewDeleter returns a deleter for the stream.
func NewDeleter(nc *nats.Conn, stream string) (*Deleter, error) {
	d := &Deleter{
		nc: nc, subject: jetstream.DefaultAPIPrefix + "STREAM.MSG.DELETE." + stream, prefix: nats.NewInbox() + ".",
		waiting: map[string]deletion{},
	}
	var err error
	d.answers, err = nc.Subscribe(d.prefix+"*", d.answered)
	return d, err
}

// Close ends the subscription. Requests whose answers have not come stay without.
func (d *Deleter) Close() { _ = d.answers.Unsubscribe() }

// Delete deletes the message with that number and calls done once, from another goroutine or at once. nil = it was
// there and is not any more. After an error it may be there or not.
func (d *Deleter) Delete(seq uint64, done func(error)) {
	d.mu.Lock()
	if len(d.waiting) >= mostDeletions {
		d.mu.Unlock()
		done(errBusy)
		return
	}
	d.last++
	id := strconv.Itoa(d.last)
	d.waiting[id] = deletion{done: done, since: time.Now()}
	d.mu.Unlock()
	body := append(strconv.AppendUint([]byte(`{"no_erase":true,"seq":`), seq, 10), '}')
	if err := d.nc.PublishRequest(d.subject, d.prefix+id, body); err != nil {
		d.end(id, err)
	}
}

func (d *Deleter) answered(m *nats.Msg) {
	var err error
	if !bytes.Contains(m.Data, []byte(`"success":true`)) {
		err = errRefused
	}
	d.end(strings.TrimPrefix(m.Subject, d.prefix), err)
}

func (d *Deleter) end(id string, err error) {
	d.mu.Lock()
	one, ok := d.waiting[id]
	delete(d.waiting, id)
	d.mu.Unlock()
	if ok {
		one.done(err)
	}
}

// Expire ends the requests that have waited for an answer too long. It is to be called now and then.
func (d *Deleter) Expire() {
	d.mu.Lock()
	var late []string
	for id, one := range d.waiting {
		if time.Since(one.since) >= Timeout {
			late = append(late, id)
		}
	}
	d.mu.Unlock()
	for _, id := range late {
		d.end(id, nats.ErrTimeout)
	}
}
