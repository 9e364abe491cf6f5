package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// room is what a Service has of one tenant.
type room struct {
	tenant string
	// lock is held by whoever changes the tenant; a channel, because waiting for it ends with a context.
	lock chan struct{}
	view atomic.Pointer[view]

	tests tests
}

// view is what is known of a tenant at a time. It is immutable.
type view struct {
	revision Revision // that the store had when it was last asked; 0 = no document
	applied  Revision // that is in force
	content  *content // of the applied revision; nil = there is none
	set      *config.Set
	problem  string // why the stored revision is not in force, or not as a whole; "" = it is
	held     bool   // the lane for events of an unreadable document is there
	told     bool   // the events of content.Changes were dispatched
	rows     *rows  // of set
	answers  *answers
}

// show makes v what is known of the tenant.
func (r *room) show(v *view) {
	if v.rows == nil || v.rows.set != v.set {
		v.rows, v.answers = &rows{set: v.set}, &answers{document: v.document()}
	}
	r.view.Store(v)
}

// document is the configuration that is in force, or an empty one.
func (v *view) document() *config.Document {
	if v.set == nil || v.set.Document == nil {
		return new(config.Document)
	}
	return v.set.Document
}

// room returns that of a tenant.
func (s *Service) room(tenant string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[tenant]
	if r == nil {
		r = &room{tenant: tenant, lock: make(chan struct{}, 1)}
		r.view.Store(new(view))
		s.rooms[tenant] = r
	}
	return r
}

// acquire takes the right to change the tenant.
func (r *room) acquire(ctx context.Context) error {
	select {
	case r.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *room) release() { <-r.lock }

// viewOf returns what is known of a tenant.
func (s *Service) viewOf(tenant string) *view {
	s.mu.Lock()
	r := s.rooms[tenant]
	s.mu.Unlock()
	if r == nil {
		return new(view)
	}
	return r.view.Load()
}

// parts are a channel and its routes as they are shown.
type parts struct {
	channel json.RawMessage // nil = there is none of that name
	names   []string        // of the routes
	routes  []json.RawMessage
}

func partsOf(d *config.Document, name string) parts {
	p := parts{channel: d.Channel(name)}
	if p.channel == nil {
		return p
	}
	for _, r := range d.RoutesOf(name) {
		p.names = append(p.names, r)
		p.routes = append(p.routes, d.Route(r))
	}
	return p
}

// etag is that of a channel: it changes with what is shown of the channel and its routes, and with every change of
// their secrets, but not with changes of other channels. "" = there is no such channel.
func (v *view) etag(name string) string {
	p := partsOf(v.document(), name)
	if p.channel == nil {
		return ""
	}
	h := sha256.New()
	part := func(b []byte) { h.Write(strconv.AppendInt(nil, int64(len(b)), 10)); h.Write([]byte{' '}); h.Write(b) }
	part(p.channel)
	for _, r := range p.routes {
		part(r)
	}
	if v.content != nil {
		part(strconv.AppendUint(nil, uint64(v.content.Channels[name].Changed), 10))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// revisions are those of the latest change that is stored, and that is in force.
func (v *view) revisions() (stored, applied Revision) {
	applied = v.applied
	if v.content != nil && v.content.Revision != 0 {
		applied = v.content.Revision
	}
	if v.revision == v.applied {
		return applied, applied
	}
	return v.revision, applied
}

// documentETag changes with what is shown of the document, and with every change of its secrets.
func (v *view) documentETag() string {
	h := sha256.New()
	h.Write(v.document().JSON())
	if v.content != nil {
		for _, name := range sortedKeys(v.content.Channels) {
			h.Write(strconv.AppendUint([]byte{' '}, uint64(v.content.Channels[name].Changed), 10))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// tests bounds how often a tenant tests.
type tests struct {
	mu      sync.Mutex
	running int
	began   []time.Time // in the last minute
}
