package natsqueue

import (
	"hash/maphash"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// knownEvents is how many of the latest events a process remembers at least; at most twice as many.
const knownEvents = 65_536

// known remembers what this process enqueued, to find one id given to two events. Asking the servers would cost a message
// for each event; they are asked only about an event that is new here and whose job they have already.
type known struct {
	seed maphash.Seed

	mu     sync.Mutex
	latest map[string]uint64 // from ids to hashes of what SameAs compares
	former map[string]uint64
}

func newKnown() known { return known{seed: maphash.MakeSeed(), latest: map[string]uint64{}} }

// add remembers the events of jobs, or none if one is in conflict. It reports which jobs' events were new; nil = none.
func (k *known) add(jobs []queue.Job) (fresh []bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var added []string
	for i := range jobs {
		e := jobs[i].Event
		if i > 0 && e.SameAs(jobs[i-1].Event) {
			if fresh != nil {
				fresh[i] = fresh[i-1]
			}
			continue
		}
		hash, id := k.hash(e), e.ID()
		before, ok := k.latest[id]
		if !ok {
			if before, ok = k.former[id]; !ok {
				if fresh == nil {
					fresh = make([]bool, len(jobs))
				}
				fresh[i] = true
				added = append(added, id)
			}
			k.latest[id] = hash
		}
		if ok && before != hash {
			for _, id := range added {
				delete(k.latest, id)
			}
			return nil, &queue.ConflictError{EventID: id}
		}
	}
	if len(k.latest) > knownEvents {
		k.former, k.latest = k.latest, map[string]uint64{}
	}
	return fresh, nil
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
