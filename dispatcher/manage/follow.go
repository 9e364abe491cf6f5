package manage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// comparePage is how many tenants are listed at a time.
const comparePage = 500

// follow puts in force what other processes store, until ctx is done.
func (s *Service) follow(ctx context.Context) {
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		changes, err := s.documents.Watch(ctx)
		if err != nil {
			s.options.Logger.Warn("tocsin: changes of configurations cannot be watched", "error", err)
		}
		s.compareOrLog(ctx) // what came before the watch
		s.followWatch(ctx, changes, tick.C)
	}
}

// followWatch follows one watch to its end. Without one, it waits for the next comparison.
func (s *Service) followWatch(ctx context.Context, changes <-chan Change, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			s.compareOrLog(ctx)
			if changes == nil {
				return
			}
		case c, ok := <-changes:
			switch {
			case !ok:
				return
			case c.Resync:
				s.compareOrLog(ctx)
			default:
				s.catchUp(ctx, c.Tenant)
			}
		}
	}
}

func (s *Service) compareOrLog(ctx context.Context) {
	if err := s.compare(ctx, false); err != nil && ctx.Err() == nil {
		s.options.Logger.Warn("tocsin: configurations cannot be compared with the store", "error", err)
	}
}

// compare catches up with the tenants whose stored revision is not the one known. starting says that no tenant is known
// yet: changes that a process before did not tell are told.
func (s *Service) compare(ctx context.Context, starting bool) error {
	listed := map[string]bool{}
	for after := ""; ; {
		page, err := s.documents.List(ctx, after, comparePage)
		if err != nil {
			return err
		}
		for _, head := range page {
			listed[head.Tenant] = true
			v := s.viewOf(head.Tenant)
			if head.Revision != v.revision || v.revision != v.applied {
				s.catchUp(ctx, head.Tenant)
			}
			s.finish(ctx, head.Tenant, starting)
		}
		if len(page) < comparePage {
			break
		}
		after = page[len(page)-1].Tenant
	}
	for _, tenant := range s.known() {
		if !listed[tenant] && s.viewOf(tenant).revision != 0 {
			s.catchUp(ctx, tenant)
		}
	}
	return ctx.Err()
}

// known lists the tenants that have a room.
func (s *Service) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]string, 0, len(s.rooms))
	for tenant := range s.rooms {
		all = append(all, tenant)
	}
	return all
}

// finish does what changes of a tenant have left to do.
func (s *Service) finish(ctx context.Context, tenant string, starting bool) {
	r := s.room(tenant)
	v := r.view.Load()
	unfinished := starting && v.isUnfinished() || v.isAbandoned(time.Now())
	if !v.told && !v.held && !unfinished || r.acquire(ctx) != nil {
		return
	}
	defer r.release()
	if unfinished {
		s.announce(ctx, r)
	}
	s.forgetSettled(ctx, r)
	s.endHold(ctx, r)
}

// catchUp reads a tenant's document and puts it in force. What fails is logged, and done again by a later comparison;
// until then, the events of a tenant that has nothing in force are held.
func (s *Service) catchUp(ctx context.Context, tenant string) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	r := s.room(tenant)
	if r.acquire(ctx) != nil {
		return
	}
	defer r.release()
	if _, err := s.refresh(ctx, r); err != nil && s.running.Err() == nil {
		s.options.Logger.Warn("tocsin: a configuration is not in force", "tenant", tenant, "error", err)
		next := *r.view.Load()
		if next.held = s.keepEvents(ctx, tenant, &next); next.held {
			next.problem = cmp.Or(next.problem, "it could not be read")
		}
		r.show(&next)
	}
}

// refresh reads the tenant's document, and puts it in force if it is another one than before. After an error, which is
// an *Error, what was in force is still. Called with the room's lock held.
func (s *Service) refresh(ctx context.Context, r *room) (*view, error) {
	v := r.view.Load()
	stored, err := s.documents.Get(ctx, r.tenant)
	_, sealed := errors.AsType[*SealError](err)
	switch {
	case errors.Is(err, ErrNotFound):
		if v.revision == 0 && !v.held {
			return v, nil
		}
		return s.remove(ctx, r, v)
	case sealed:
		return s.unreadable(ctx, r, v, v.revision, err)
	case err != nil:
		return nil, unavailable("the store of configurations", err)
	case stored.Revision == v.revision && v.revision == v.applied:
		return v, nil
	}
	c, err := decodeContent(r.tenant, stored.Content)
	if err != nil {
		return s.unreadable(ctx, r, v, stored.Revision, err)
	}
	next := &view{revision: stored.Revision, applied: stored.Revision, content: c, held: v.held || v.set == nil && s.isHeld(ctx, r.tenant)}
	if v.content != nil && v.set != nil && bytes.Equal(c.Document, v.content.Document) {
		next.set, next.problem = v.set, problemOf(v.set)
		r.show(next)
		return next, nil
	}
	o := s.configOf(r.tenant)
	o.Lenient, o.Previous, o.MaxSize = true, v.set, MaxContent
	set, err := config.Load("", c.Document, o)
	if err != nil {
		return s.unreadable(ctx, r, v, stored.Revision, err)
	}
	next.problem = problemOf(set)
	was := *v
	was.held = next.held
	if next.set, err = s.inForce(ctx, r, &was, set); err != nil {
		failed := *v
		failed.revision, failed.problem = stored.Revision, "it is stored, but not in force"
		failed.set = next.set
		r.show(&failed)
		return nil, &Error{Code: CodeUnavailable, Detail: "the configuration is not in force", Err: err}
	}
	r.show(next)
	if next.problem != "" && next.problem != v.problem {
		s.tell(ctx, r.tenant, event.TypeConfigBroken, event.ConfigChange{Revision: int64(next.revision), Outcome: next.problem})
	}
	return next, nil
}

// remove takes out of force what a tenant had whose document was deleted.
func (s *Service) remove(ctx context.Context, r *room, v *view) (*view, error) {
	next := new(view)
	set, err := s.inForce(ctx, r, v, nil)
	if err == nil && set == nil && v.held {
		err = s.engine.SetTenant(ctx, r.tenant, nil)
	}
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Detail: "the configuration is still in force", Err: err}
	}
	next.set = set
	r.show(next)
	return next, nil
}

// unreadable notes that what is stored cannot be read: what was in force stays, and without that, events are held.
func (s *Service) unreadable(ctx context.Context, r *room, v *view, revision Revision, err error) (*view, error) {
	next := *v
	next.revision, next.problem, next.held = revision, err.Error(), s.keepEvents(ctx, r.tenant, v)
	r.show(&next)
	if next.problem != v.problem {
		s.tell(ctx, r.tenant, event.TypeConfigBroken, event.ConfigChange{Revision: int64(revision), Outcome: next.problem})
	}
	return nil, &Error{Code: CodeUnreadable, Detail: "the stored configuration cannot be read, and is left as it is",
		Remedy: "have the operator look at the log", Err: err}
}

// problemOf says what of a Set is broken; "" = nothing.
func problemOf(set *config.Set) string {
	var all []string
	for _, b := range set.Broken {
		all = append(all, b.String())
	}
	return strings.Join(all, "\n")
}
