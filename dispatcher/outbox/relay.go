package outbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/retry"
)

// RelayOptions configure a Relay. The zero value is ready for use.
type RelayOptions struct {
	// Poll is the pause between two looks for new rows, when there are none. 0 = 50 ms.
	Poll time.Duration
	// Lease is for how long the process that relays may be silent before another one takes over, at least 1 s. A
	// process that waits looks every second, or three times per lease. 0 = 15 s.
	Lease time.Duration
	// OpenTransaction is for how long a transaction that has written may be open before that is logged, once a minute.
	// It holds up its own rows only, but while it is open the database cannot remove what was deleted. 0 = 5 min.
	OpenTransaction time.Duration
	// Scheduler is given the rows of Schedule and Cancel. nil = the Dispatcher, if it has these methods; otherwise such
	// rows become dead letters.
	Scheduler dispatcher.Scheduler
	Logger    *slog.Logger // nil = slog.Default
}

// Relay hands the rows of an Outbox to a Dispatcher.
type Relay struct {
	outbox     *Outbox
	db         *sql.DB
	dispatcher dispatcher.Dispatcher
	scheduler  dispatcher.Scheduler
	poll       time.Duration
	standby    time.Duration
	lease      lease
	log        *slog.Logger
	watch      transactionWatch

	running atomic.Bool
	leading atomic.Bool
}

// ErrRunning is returned by a second Run of the same Relay.
var ErrRunning = errors.New("outbox: the relay runs already")

const (
	// settleTime is how long a relay that ends may take to delete what it handed over, and to release the lease.
	settleTime = 5 * time.Second
	// logPause is the least time between two log lines of the same lasting state.
	logPause = time.Minute
)

// NewRelay makes a Relay from the tables of o in db to d. Mistakes are joined *channel.ConfigErrors. Nothing is read
// before Run.
func NewRelay(db *sql.DB, o *Outbox, d dispatcher.Dispatcher, options RelayOptions) (*Relay, error) {
	var errs []error
	if db == nil {
		errs = append(errs, configError(channel.CodeMissing, "db", "is nil", "open the database first"))
	}
	if o == nil {
		errs = append(errs, configError(channel.CodeMissing, "Outbox", "is nil", "make it with New"))
	}
	if d == nil {
		errs = append(errs, configError(channel.CodeMissing, "Dispatcher", "is nil", "pass an Engine"))
	}
	for _, field := range []struct {
		path       string
		value, min time.Duration
	}{
		{"Poll", options.Poll, time.Millisecond}, {"Lease", options.Lease, time.Second},
		{"OpenTransaction", options.OpenTransaction, time.Second},
	} {
		if field.value != 0 && field.value < field.min {
			errs = append(errs, configError(channel.CodeRange, field.path, "is too short", fmt.Sprintf("use at least %s, or 0", field.min)))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if options.Scheduler == nil {
		options.Scheduler, _ = d.(dispatcher.Scheduler)
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	length := cmp.Or(options.Lease, 15*time.Second)
	return &Relay{
		outbox: o, db: db, dispatcher: d, scheduler: options.Scheduler,
		poll:    cmp.Or(options.Poll, 50*time.Millisecond),
		standby: min(time.Second, length/3),
		lease:   lease{outbox: o, db: db, holder: newHolder(), length: length},
		log:     options.Logger,
		watch:   transactionWatch{limit: cmp.Or(options.OpenTransaction, 5*time.Minute)},
	}, nil
}

// newHolder names a Relay for people, and differs from all others.
func newHolder() string {
	host, _ := os.Hostname()
	return reason(fmt.Errorf("%.100s/%d/%s", host, os.Getpid(), rand.Text()))
}

// Leading reports whether this Relay is the one that hands rows over at the moment.
func (r *Relay) Leading() bool { return r.leading.Load() }

// Run relays until ctx is done, and returns nil then: it has finished the call it was in, whose context ends as well,
// deleted what was handed over and released the lease, so that another process takes over within a second. These last
// statements take up to 5 s. The Dispatcher and the database belong to the host: end Run first, then shut down the
// Engine, then close the database.
//
// Any number of processes may run a Relay on the same tables; one of them hands rows over, the others wait. What can be
// overcome by waiting, such as a database or a Dispatcher that refuses, is logged and waited for. Tables of another
// version than this program's are a *SchemaError. A second Run at the same time is ErrRunning.
func (r *Relay) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer r.running.Store(false)
	failures := failures{log: r.log, message: "tocsin: the relay of the outbox cannot use its database"}
	for ctx.Err() == nil {
		acquired, err := r.lease.acquire(ctx)
		if err == nil && !acquired {
			failures.end()
			pause(ctx, r.standby)
			continue
		}
		if err == nil {
			began := time.Now()
			if err = r.lead(ctx); time.Since(began) > r.lease.length {
				failures.end()
			}
		}
		if _, mismatch := errors.AsType[*SchemaError](err); mismatch {
			return err
		}
		if err != nil && ctx.Err() == nil {
			pause(ctx, failures.note(err))
		}
	}
	return nil
}

// lead relays until ctx is done, the lease is lost or the database fails.
func (r *Relay) lead(ctx context.Context) error {
	held, end := r.lease.hold(ctx)
	defer end()
	r.leading.Store(true)
	defer r.leading.Store(false)
	h := handover{relay: r, feed: r.outbox.database.feed(r.outbox.tables), most: maxRows}
	defer h.finish(ctx)
	for held.Err() == nil {
		r.watch.check(held, r)
		rows, err := h.feed.next(held, r.db)
		if err == nil && len(rows) > 0 {
			err = h.rows(held, rows)
		}
		if err != nil {
			return r.cause(held, err)
		}
		if len(rows) == 0 {
			pause(held, r.poll)
		}
	}
	return r.cause(held, nil)
}

// cause is why leading ended: nothing that is worth a word, if the host ended it.
func (r *Relay) cause(held context.Context, err error) error {
	if lost := context.Cause(held); errors.Is(lost, errLeaseLost) {
		return lost
	}
	return err
}

// failures spaces out the tries, and the log lines, of something that fails again and again.
type failures struct {
	log     *slog.Logger
	message string
	count   int
	logged  time.Time
}

// note returns the pause before the next try.
func (f *failures) note(err error, attrs ...any) time.Duration {
	f.count++
	if now := time.Now(); now.Sub(f.logged) >= logPause {
		f.logged = now
		f.log.Warn(f.message, append(attrs, dispatcher.AttrError, err)...) //nolint:sloglint // constant where failures are made
	}
	policy := retry.Exponential{Initial: 50 * time.Millisecond, Max: 5 * time.Second}
	next, _ := policy.Next(retry.Failure{Attempt: f.count, Err: err})
	return next
}

func (f *failures) end() { f.count = 0 }
