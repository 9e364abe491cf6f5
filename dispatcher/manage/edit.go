package manage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// edit is one change of a tenant's document.
type edit struct {
	tenant, actor string
	typ           event.Type // of its event
	channel       string     // that it is about; "" = no single one
	etag          string     // that the channel must have; "" = any
	posted        any        // what was given, decoded, to tell which secrets are new; nil = none
	created       []byte     // mark.Created
	// change returns the next document, or the one it was given if there is nothing to do. It is called again after
	// another process was faster.
	change func(v *view, o config.Options) (*config.Document, error)
	// renamed is the channel's next name; "" = it keeps it.
	renamed string
}

// maxTries is how often an edit is tried again, because somebody else has changed the document.
const maxTries = 5

// edit has a change stored and in force. changed says that there was something to do. v is what is stored, also if it
// is not in force.
func (s *Service) edit(ctx context.Context, e edit) (v *view, changed bool, err error) {
	if e.tenant == dispatcher.AnyTenant { // whose routes are those of Options.Engine
		return nil, false, newError(CodeState, "the routes of the whole platform are the host's own", "name one tenant")
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	r := s.room(e.tenant)
	if err := r.acquire(ctx); err != nil {
		return nil, false, unavailable("the store", err)
	}
	defer r.release()
	for range 1 + maxTries {
		if s.ending.Load() {
			return nil, false, newError(CodeShutDown, "the service is shut down", "")
		}
		if v, err = s.refresh(ctx, r); err != nil {
			return nil, false, err
		}
		if e.etag != "" && v.etag(e.channel) != e.etag {
			return v, false, stale(e.channel)
		}
		var conflict bool
		v, changed, conflict, err = s.try(ctx, r, v, &e)
		if !conflict {
			return v, changed, err
		}
	}
	return v, false, unavailable("the store, which others change all the time,", nil)
}

func stale(channel string) *Error {
	return newError(CodeStale, fmt.Sprintf("channel %q was changed since it was read", clip(channel)), "read it again and repeat the change")
}

// try makes one attempt of an edit. conflict says that somebody else was faster.
func (s *Service) try(ctx context.Context, r *room, v *view, e *edit) (_ *view, changed, conflict bool, err error) {
	o := s.configOf(e.tenant)
	before := v.document()
	next, err := e.change(v, o)
	if err != nil || next == before {
		return v, false, false, err
	}
	set, err := s.loadEdited(next, v, o)
	if err != nil {
		return v, false, false, err
	}
	c, err := s.contentOf(ctx, v, next, e)
	if err != nil {
		return v, false, false, errors.Join(err, set.Close())
	}
	c.Removed = removedBy(v.set, set, v.removed())
	text := c.encode()
	if most := s.options.Limits.Document; len(c.Document) > most {
		_ = set.Close()
		return v, false, false, newError(CodeTooLarge, fmt.Sprintf("the tenant's configuration would have more than %d bytes", most), "remove what is not needed")
	}
	if err := s.emptyLanes(ctx, e.tenant, inherited(v, set)); err != nil {
		_ = set.Close()
		return v, false, false, err
	}
	revision, err := s.put(ctx, e.tenant, text, v.revision)
	if err != nil {
		_ = set.Close()
		_, conflict := errors.AsType[*ConflictError](err)
		return v, false, conflict, storeError(err)
	}
	after := &view{revision: revision, applied: revision, content: c, problem: problemOf(set), held: v.held}
	inForce, err := s.inForce(ctx, r, v, set)
	after.set = inForce
	if err != nil {
		s.options.Logger.Error("tocsin: a stored configuration is not in force", "tenant", e.tenant, "error", err)
		after.applied, after.content, after.problem = v.applied, v.content, "it is stored, but not in force"
		r.show(after)
		stored := &view{revision: revision, applied: v.applied, content: c, set: &config.Set{Document: next}, problem: after.problem}
		return stored, true, false, nil
	}
	r.show(after)
	s.announce(ctx, r)
	return r.view.Load(), true, false, nil
}

// loadEdited makes the Set of an edited document. What was broken before may stay so.
func (s *Service) loadEdited(next *config.Document, v *view, o config.Options) (*config.Set, error) {
	o.Lenient, o.Previous, o.MaxSize = true, v.set, 0
	set, err := next.Load(o)
	if err != nil {
		return nil, fieldsError(err, "")
	}
	if slices.Contains(routeNames(set), heldRoute) {
		_ = set.Close()
		return nil, newError(CodeExists, fmt.Sprintf("there is a route %q already, of the service's own", heldRoute), "choose another name")
	}
	before := map[string]bool{}
	if v.set != nil {
		for _, b := range v.set.Broken {
			before[b.Channel+"\x00"+b.Route] = true
		}
	}
	for _, b := range set.Broken {
		if !before[b.Channel+"\x00"+b.Route] {
			_ = set.Close()
			return nil, fieldsError(b.Err, "")
		}
	}
	return set, nil
}

// contentOf is what is to be stored for the next document.
func (s *Service) contentOf(ctx context.Context, v *view, next *config.Document, e *edit) (*content, error) {
	text, err := next.Reveal(ctx)
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Detail: "a secret cannot be read", Err: err}
	}
	c := &content{Document: bytes.TrimSpace(text), Channels: map[string]mark{}}
	if v.content != nil {
		maps.Copy(c.Channels, v.content.Channels)
		for _, one := range v.untold() {
			if one.Revision == 0 {
				one.Revision = v.revision
			}
			c.Changes = append(c.Changes, one)
		}
	}
	name := e.channel
	if e.renamed != "" {
		delete(c.Channels, name)
		name = e.renamed
	}
	there := map[string]bool{}
	for _, one := range next.Channels() {
		there[one.Name] = true
		if name == "" { // any of them may have another secret
			c.Channels[one.Name] = mark{Changed: v.revision}
		}
	}
	if name != "" {
		c.Channels[name] = mark{Changed: v.revision, Created: e.created}
	}
	for known := range c.Channels {
		if !there[known] {
			delete(c.Channels, known)
		}
	}
	c.Changes = append(c.Changes, change{Type: e.typ, At: time.Now().UTC(), ConfigChange: event.ConfigChange{
		Channel: e.channel, Actor: e.actor, Changes: differences(v.document(), next, e),
	}})
	return c, nil
}

// put stores content. Where the store does not say what became of it, it asks.
func (s *Service) put(ctx context.Context, tenant string, text []byte, expect Revision) (Revision, error) {
	revision, err := s.documents.Put(ctx, tenant, Record{Content: text}, expect)
	if err == nil || errors.Is(err, ErrUnchanged) {
		return revision, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Limits.Call)
	defer cancel()
	stored, failed := s.documents.Get(ctx, tenant)
	if failed == nil && bytes.Equal(stored.Content, text) {
		return stored.Revision, nil
	}
	return 0, err
}

// storeError words the error of a store.
func storeError(err error) *Error {
	if _, ok := errors.AsType[*SizeError](err); ok {
		return &Error{Code: CodeTooLarge, Detail: "the tenant's configuration is larger than the store takes", Remedy: "remove what is not needed", Err: err}
	}
	e := unavailable("the store of configurations", err)
	if !errors.Is(err, ErrUnchanged) {
		e.Detail = "the store of configurations did not say whether the change is stored"
		e.Remedy = "read the channel, and repeat the change if it is not there"
	}
	return e
}
