package memoryqueue

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// knownEvents remembers which lanes got which of the latest events. It is what makes enqueueing again safe: it stays
// locked during a call, so two calls cannot both store a job, and a conflict is found before anything is stored.
//
// Events and lanes are hashes here: the texts would keep the memory of old events. When two events are taken for one,
// their digests tell the difference, and the later one is refused as a conflict: once in 2^48 events if the window has
// 65,536.
type knownEvents struct {
	mu         sync.Mutex
	keySeed    maphash.Seed
	digestSeed maphash.Seed // another one: ids with one key have two digests
	limit      int
	index      map[uint64]int // by knownEvent.key
	ring       []knownEvent   // the oldest at next once it is full
	next       int

	latest  []uint64 // the lanes of the latest event, each once
	scratch []uint64 // for those of another one
}

// knownEvent is what is known of an event: a digest that tells other data, and the lanes that got it.
type knownEvent struct {
	key    uint64
	digest uint64
	lanes  []uint64
}

// eventJobs are the jobs of one event that follow each other in one call. Most events go to the lanes of the event
// before, in the same order: as long as they do, their lanes are only counted.
type eventJobs struct {
	knownEvent
	jobs   []queue.Job
	at     int                 // in the ring
	same   int                 // its lanes are the first so many of latest
	listed bool                // no, they are in lanes
	many   map[uint64]struct{} // and here, when they may be many
}

// fewLanes is how many are looked through one by one, and mostScratch for how many memory is kept.
const (
	fewLanes    = 32
	mostScratch = 1024
)

func (k *knownEvents) init(limit int) {
	k.keySeed, k.digestSeed = maphash.MakeSeed(), maphash.MakeSeed()
	k.limit, k.index = limit, map[uint64]int{}
}

// oddFactor spreads small differences over all bits (2^64 divided by the golden ratio).
const oddFactor = 0x9e3779b97f4a7c15

func (k *knownEvents) key(j *queue.Job) uint64 {
	return maphash.String(k.keySeed, j.Event.ID()) + uint64(j.Generation)*oddFactor
}

// digest hashes all that makes an event what it is, besides its time.
func (k *knownEvents) digestOf(j *queue.Job) uint64 {
	h := maphash.Bytes(k.digestSeed, j.Event.Data())
	for _, s := range [...]string{string(j.Event.Type()), j.Event.Tenant(), j.Event.Subject(), j.Event.ID()} {
		h = bits.RotateLeft64(h, 23)*oddFactor + maphash.String(k.digestSeed, s)
	}
	return h
}

// group appends jobs to to, cut into those of one event each. It needs no lock.
func (k *knownEvents) group(to []eventJobs, jobs []queue.Job) []eventJobs {
	for len(jobs) > 0 {
		first, n := &jobs[0], 1
		for n < len(jobs) && jobs[n].Generation == first.Generation && jobs[n].Event.SameAs(first.Event) {
			n++
		}
		to = append(to, eventJobs{jobs: jobs[:n:n], knownEvent: knownEvent{key: k.key(first), digest: k.digestOf(first)}})
		jobs = jobs[n:]
	}
	return to
}

// conflict looks for an id with two kinds of data, among what is known and among the events of the call. It is called,
// as what follows, with the lock.
func (k *knownEvents) conflict(events []eventJobs) error {
	met := make(map[uint64]uint64, len(events))
	for i := range events {
		e := &events[i]
		digest, again := met[e.key]
		if at, known := k.index[e.key]; known {
			digest, again = k.ring[at].digest, true
		}
		if again && digest != e.digest {
			return &queue.ConflictError{EventID: e.jobs[0].Event.ID()}
		}
		met[e.key] = e.digest
	}
	return nil
}

// open finds out who has the event, and remembers it. Got and add follow, then close.
func (k *knownEvents) open(e *eventJobs) error {
	at, known := k.index[e.key]
	if !known {
		e.at = k.remember(e.knownEvent)
		return nil
	}
	if k.ring[at].digest != e.digest {
		return &queue.ConflictError{EventID: e.jobs[0].Event.ID()}
	}
	e.at = at
	k.list(e, k.ring[at].lanes)
	return nil
}

// list has the event list its lanes, which are these.
func (k *knownEvents) list(e *eventJobs, lanes []uint64) {
	e.listed, e.lanes = true, append(k.scratch[:0], lanes...)
	if len(lanes)+len(e.jobs) > fewLanes {
		e.many = make(map[uint64]struct{}, len(lanes)+len(e.jobs))
		for _, lane := range lanes {
			e.many[lane] = struct{}{}
		}
	}
}

// got reports whether a lane, given by its hash, has the event, and add notes that it has.
func (k *knownEvents) got(e *eventJobs, lane uint64) bool {
	if !e.listed {
		if e.same < len(k.latest) && k.latest[e.same] == lane {
			return false
		}
		k.list(e, k.latest[:e.same])
	}
	if e.many != nil {
		_, ok := e.many[lane]
		return ok
	}
	return slices.Contains(e.lanes, lane)
}

func (e *eventJobs) add(lane uint64) {
	if !e.listed {
		e.same++ // as got has seen
		return
	}
	e.lanes = append(e.lanes, lane)
	if e.many != nil {
		e.many[lane] = struct{}{}
	}
}

// close remembers who has the event now. Events with the same lanes share one list, which nobody changes.
func (k *knownEvents) close(e *eventJobs) {
	lanes := k.latest[:e.same:e.same]
	if e.listed {
		if !slices.Equal(e.lanes, k.latest) {
			k.latest = slices.Clip(slices.Clone(e.lanes))
		}
		lanes = k.latest
		if k.scratch = e.lanes; cap(k.scratch) > mostScratch {
			k.scratch = nil
		}
	}
	k.ring[e.at].lanes = lanes
}

// remember puts a new event into the ring, where it takes the place of the oldest, and returns its place.
func (k *knownEvents) remember(e knownEvent) int {
	at := len(k.ring)
	if at < k.limit {
		k.ring = append(k.ring, e)
	} else {
		at = k.next
		delete(k.index, k.ring[at].key)
		k.next = (k.next + 1) % k.limit
		k.ring[at] = e
	}
	k.index[e.key] = at
	return at
}
