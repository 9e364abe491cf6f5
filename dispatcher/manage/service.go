package manage

import (
	"context"
	"errors"
	"io"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// Service keeps tenants' documents in a store, changes them, and has them in force in an Engine of its own, together
// with a history and a health monitor. Make it with [New]; all methods are safe for concurrent use, also by several
// processes with the same Documents, as far as that store is.
type Service struct {
	options   Options
	documents Documents
	engine    *dispatcher.Engine
	recorder  *history.Recorder
	monitor   *health.Monitor

	mu    sync.Mutex
	rooms map[string]*room

	running context.Context // until Shutdown
	stop    context.CancelFunc
	tasks   sync.WaitGroup
	ending  atomic.Bool // Shutdown was called: nothing is changed any more
	closing sync.Once
	closed  error
}

var _ dispatcher.Dispatcher = (*Service)(nil)

// New makes a Service and puts all stored documents in force. It reports every mistake in o at once, as joined
// *channel.ConfigErrors, or why the store does not answer. A tenant's document that cannot be read, or not as a whole,
// is no error: it is logged, told by [Service.Tenants], and its events wait. Nothing is delivered before Run.
//
// The Service owns what is in o: Shutdown closes Engine.Queue, History and Documents, if they are io.Closers.
func New(ctx context.Context, o Options) (*Service, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	recorder, err := history.NewRecorder(o.History, o.HistoryOptions)
	if err != nil {
		return nil, channel.ConfigErrorsAt(err, "manage", "HistoryOptions")
	}
	s := &Service{options: o, documents: o.Documents, recorder: recorder, rooms: map[string]*room{},
		monitor: health.New(health.Options{Alert: o.Alert, Logger: o.Logger})}
	if o.Sealer != nil {
		s.documents = Sealed(o.Documents, o.Sealer)
	}
	s.running, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	o.Engine.Observers = append([]dispatcher.Observer{s.recorded(), s.monitor.Observer()}, o.Engine.Observers...)
	if s.engine, err = dispatcher.New(o.Engine); err != nil {
		return nil, errors.Join(channel.ConfigErrorsAt(err, "manage", "Engine"), s.recorder.Close(ctx))
	}
	if err := s.compare(ctx, true); err != nil {
		return nil, errors.Join(err, s.Shutdown(ctx))
	}
	return s, nil
}

// Run delivers, and follows the changes of other processes, until Shutdown or until ctx is done; see
// dispatcher.Engine.Run. Shutdown has to be called in both cases.
func (s *Service) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.stop)
	defer stop()
	if !s.startTasks() {
		return dispatcher.ErrShutdown
	}
	return s.engine.Run(ctx)
}

// startTasks starts what runs beside the Engine, unless the Service is shut down.
func (s *Service) startTasks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running.Err() != nil {
		return false
	}
	s.tasks.Go(func() { _ = s.monitor.Run(s.running, s.engine) })
	s.tasks.Go(func() { s.follow(s.running) })
	return true
}

// endTasks ends that.
func (s *Service) endTasks() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.tasks.Wait()
}

// Shutdown stops accepting events and changes, delivers what is due (see dispatcher.Engine.Shutdown, whose error it
// returns), stores the history, and closes channels, queue and stores.
func (s *Service) Shutdown(ctx context.Context) error {
	s.ending.Store(true)
	s.closing.Do(func() {
		left := s.engine.Shutdown(ctx)
		s.endTasks()
		s.forgetAll(ctx)
		s.closed = errors.Join(left, s.recorder.Close(ctx), s.closeSets(), closeAll(s.options.Engine.Queue, s.options.History, s.options.Documents))
	})
	return s.closed
}

// closeSets closes the channels of all tenants.
func (s *Service) closeSets() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, r := range s.rooms {
		if v := r.view.Load(); v.set != nil {
			errs = append(errs, v.set.Close())
		}
	}
	return errors.Join(errs...)
}

// closeAll closes what can be closed, each once.
func closeAll(all ...any) error {
	var errs []error
	seen := map[any]bool{}
	for _, one := range all {
		c, ok := one.(io.Closer)
		if !ok {
			continue
		}
		if reflect.TypeOf(one).Comparable() {
			if seen[one] {
				continue
			}
			seen[one] = true
		}
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Dispatch implements dispatcher.Dispatcher.
func (s *Service) Dispatch(ctx context.Context, events ...event.Event) error {
	return s.engine.Dispatch(ctx, events...)
}

// Engine is what delivers: for schedules, redeliveries and everything else that the host does itself. Its routes of
// tenants are the Service's to change.
func (s *Service) Engine() *dispatcher.Engine { return s.engine }

// call bounds a call that waits for the store or the queue.
func (s *Service) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.options.Limits.Call)
}

// applyWait is how long a change waits for sends through channels that it replaces, before it leaves their closing to
// the next change, or to Shutdown.
const applyWait = time.Second

// apply puts a set in force in the place of the one of v. It returns what is in force, and why next is not.
func (s *Service) apply(ctx context.Context, e config.Engine, v *view, next *config.Set) (*config.Set, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyWait)
	defer cancel()
	set, err := config.Apply(ctx, e, s.monitor, v.set, next)
	_, inUse := errors.AsType[*dispatcher.InUseError](err)
	if err != nil && set == next && !inUse {
		s.options.Logger.Warn("tocsin: replaced channels could not be closed", "error", err)
	}
	if inUse || set == next {
		err = nil
	}
	return set, err
}
