package memoryqueue

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

const shardCount = 16 // one bit each in knownEvents.lock

// knownEvents remembers which lanes got which of the latest events. It is what makes enqueueing again safe: the shards
// of a call's events stay locked from the look to the last job stored, so two calls cannot both store a job, and a
// conflict is found before anything is stored.
//
// Events and lanes are hashes here: the texts would keep the memory of old events. When two events are taken for one,
// their digests tell the difference, and the later one is refused as a conflict: once in 2^48 events if the window has
// 65,536.
type knownEvents struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu    sync.Mutex
	index map[uint64]int32 // by knownEvent.key
	ring  []knownEvent     // the oldest at next once it is full
	next  int
	limit int
}

// knownEvent is what is known of an event: a digest that tells other data, and the lanes that got it.
type knownEvent struct {
	key    uint64
	digest uint64
	lanes  []uint64
}

// eventJobs are the jobs of one event that follow each other in one call.
type eventJobs struct {
	jobs   []queue.Job
	key    uint64
	digest uint64
	lanes  []uint64            // that got the event
	many   map[uint64]struct{} // the same, when there may be many
}

// fewLanes is how many are looked through one by one.
const fewLanes = 32

func (k *knownEvents) init(limit int) {
	k.seed = maphash.MakeSeed()
	for i := range k.shards {
		k.shards[i].index = map[uint64]int32{}
		k.shards[i].limit = min(max(limit/shardCount, 1), math.MaxInt32)
	}
}

func (k *knownEvents) limit() int { return shardCount * k.shards[0].limit }

// oddFactor spreads small differences over all bits (2^64 divided by the golden ratio).
const oddFactor = 0x9e3779b97f4a7c15

func (k *knownEvents) key(j *queue.Job) uint64 {
	return maphash.String(k.seed, j.Event.ID()) + uint64(j.Generation)*oddFactor
}

// digest hashes all that makes an event what it is, besides its time.
func (k *knownEvents) digest(j *queue.Job) uint64 {
	h := maphash.Bytes(k.seed, j.Event.Data())
	for _, s := range [...]string{string(j.Event.Type()), j.Event.Tenant(), j.Event.Subject(), j.Event.ID()} {
		h = bits.RotateLeft64(h, 23)*oddFactor + maphash.String(k.seed, s)
	}
	return h
}

// begin returns the jobs of a call by event, in to if that has room, or a *queue.ConflictError. Without an error the
// caller has to call open, then got and add, then close for each, and end when all are done.
func (k *knownEvents) begin(to []eventJobs, jobs []queue.Job) (events []eventJobs, locked uint16, err error) {
	events = k.group(to, jobs)
	locked = k.lock(events)
	if err := k.conflict(events); err != nil {
		k.end(locked)
		return nil, 0, err
	}
	return events, locked, nil
}

// open finds out who has the event.
func (e *eventJobs) open(k *knownEvents) {
	s := k.shard(e.key)
	if known := s.find(e.key); known != nil {
		e.lanes = known.lanes
	} else {
		s.remember(e)
		e.lanes = make([]uint64, 0, len(e.jobs))
	}
	if len(e.lanes)+len(e.jobs) > fewLanes {
		e.many = make(map[uint64]struct{}, len(e.lanes)+len(e.jobs))
		for _, lane := range e.lanes {
			e.many[lane] = struct{}{}
		}
	}
}

// got reports whether a lane, given by its hash, has the event, and add notes that it has.
func (e *eventJobs) got(lane uint64) bool {
	if e.many != nil {
		_, ok := e.many[lane]
		return ok
	}
	return slices.Contains(e.lanes, lane)
}

func (e *eventJobs) add(lane uint64) {
	e.lanes = append(e.lanes, lane)
	if e.many != nil {
		e.many[lane] = struct{}{}
	}
}

// close remembers who has the event, unless a small window has forgotten it since open.
func (e *eventJobs) close(k *knownEvents) {
	if known := k.shard(e.key).find(e.key); known != nil {
		known.lanes = e.lanes
	}
}

// group appends jobs to to, cut into those of one event each.
func (k *knownEvents) group(to []eventJobs, jobs []queue.Job) []eventJobs {
	for len(jobs) > 0 {
		first, n := &jobs[0], 1
		for n < len(jobs) && jobs[n].Generation == first.Generation && jobs[n].Event.SameAs(first.Event) {
			n++
		}
		to = append(to, eventJobs{jobs: jobs[:n:n], key: k.key(first), digest: k.digest(first)})
		jobs = jobs[n:]
	}
	return to
}

func (k *knownEvents) shard(key uint64) *shard { return &k.shards[key%shardCount] }

// lock locks the shards of all events, in the order of their numbers, so that two calls never wait for each other.
func (k *knownEvents) lock(events []eventJobs) (locked uint16) {
	for i := range events {
		locked |= 1 << (events[i].key % shardCount)
	}
	for rest := locked; rest != 0; rest &= rest - 1 {
		k.shards[bits.TrailingZeros16(rest)].mu.Lock()
	}
	return locked
}

func (k *knownEvents) end(locked uint16) {
	for rest := locked; rest != 0; rest &= rest - 1 {
		k.shards[bits.TrailingZeros16(rest)].mu.Unlock()
	}
}

// conflict looks for an id with two kinds of data, among what is known and among the events of the call.
func (k *knownEvents) conflict(events []eventJobs) error {
	var met map[uint64]uint64
	if len(events) > 1 {
		met = make(map[uint64]uint64, len(events))
	}
	for i := range events {
		e := &events[i]
		known := k.shard(e.key).find(e.key)
		digest, again := met[e.key]
		if known != nil && known.digest != e.digest || again && digest != e.digest {
			return &queue.ConflictError{EventID: e.jobs[0].Event.ID()}
		}
		if met != nil {
			met[e.key] = e.digest
		}
	}
	return nil
}

// find returns what is known of an event, or nil. It is good until the shard remembers another.
func (s *shard) find(key uint64) *knownEvent {
	i, ok := s.index[key]
	if !ok {
		return nil
	}
	return &s.ring[i]
}

// remember puts a new event into the ring, where it takes the place of the oldest.
func (s *shard) remember(e *eventJobs) {
	at := len(s.ring)
	if at < s.limit {
		s.ring = append(s.ring, knownEvent{})
	} else {
		at = s.next
		delete(s.index, s.ring[at].key)
		s.next = (s.next + 1) % s.limit
	}
	s.ring[at] = knownEvent{key: e.key, digest: e.digest}
	s.index[e.key] = int32(at)
}
