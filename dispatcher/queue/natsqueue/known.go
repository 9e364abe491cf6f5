package natsqueue

import (
	"hash/maphash"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// knownEvents is how many of the latest events a process remembers at least; at most twice as many.
const knownEvents = 65_536

// known remembers what this process enqueued, to find one id given to two events. Asking the servers would cost a
// message for each event; they are asked only about an event that is not known to be stored and whose job they have
// already.
type known struct {
	seed maphash.Seed

	mu       sync.Mutex
	latest   map[string]knownEvent // by id
	previous map[string]knownEvent
}

// knownEvent is what is remembered of an event.
type knownEvent struct {
	hash   uint64 // of what SameAs compares
	stored bool   // the servers confirmed it; otherwise a call is about it now
}

// unconfirmed are the events of a call that were not known to be stored when it began, by id; nil = none.
type unconfirmed map[string]knownEvent

func (u unconfirmed) has(e event.Event) bool {
	_, ok := u[e.ID()]
	return ok
}

func newKnown() known { return known{seed: maphash.MakeSeed(), latest: map[string]knownEvent{}} }

// add remembers the events of jobs, or none if one is in conflict.
func (k *known) add(jobs []queue.Job) (u unconfirmed, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range jobs {
		e := jobs[i].Event
		if i > 0 && e.SameAs(jobs[i-1].Event) {
			continue
		}
		id, now := e.ID(), knownEvent{hash: k.hash(e)}
		before, ok := k.latest[id]
		if !ok {
			if before, ok = k.previous[id]; !ok {
				before = now
			}
			k.latest[id] = before
		}
		if before.hash != now.hash {
			k.drop(u)
			return nil, &queue.ConflictError{EventID: id}
		}
		if !before.stored {
			if u == nil {
				u = unconfirmed{}
			}
			u[id] = now
		}
	}
	if len(k.latest) > knownEvents {
		k.previous, k.latest = k.latest, map[string]knownEvent{}
	}
	return u, nil
}

// confirm remembers that the servers have the events of a call.
func (k *known) confirm(u unconfirmed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, e := range u {
		e.stored = true
		k.latest[id] = e
	}
}

// remove forgets the events of a call that failed, unless another call has stored them.
func (k *known) remove(u unconfirmed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(u)
}

func (k *known) drop(u unconfirmed) {
	for id, e := range u {
		for _, m := range []map[string]knownEvent{k.latest, k.previous} {
			if m[id] == e {
				delete(m, id)
			}
		}
	}
}

func (k *known) hash(e event.Event) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, s := range [...]string{string(e.Type()), e.Tenant(), e.Subject()} {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0xff) // in no UTF-8, so nothing moves from one to the next
	}
	_, _ = h.Write(e.Data())
	return h.Sum64()
}
