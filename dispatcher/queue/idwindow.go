package queue

import (
	"hash/maphash"
	"math"
	"math/bits"
	"sync"
)

const windowShards = 16 // one bit each in idWindow.lock

// idWindow remembers which lanes got which of the latest events. It is what makes enqueueing again safe: the shards of a
// call's events stay locked from the look to the last push, so two calls cannot both store a job, and a conflict is found
// before anything is stored.
type idWindow struct {
	seed   maphash.Seed
	shards [windowShards]windowShard
}

type windowShard struct {
	mu    sync.Mutex
	index map[windowKey]int32
	ring  []sighting // the oldest at next once it is full
	next  int
	limit int
}

// windowKey is a hash of an event's id and generation: the ids themselves would keep the memory of old events, and cost a
// cache miss at each comparison. When two keys are equal by chance, their digests tell that they are not the same event,
// and the later one is refused as a conflict: once in 2^48 events if the window has 65,536.
type windowKey uint64

func (w *idWindow) key(j *Job) windowKey {
	return windowKey(maphash.String(w.seed, j.Event.ID()) + uint64(j.Generation)*oddFactor)
}

// oddFactor spreads small differences over all bits (2^64 divided by the golden ratio).
const oddFactor = 0x9e3779b97f4a7c15

// sighting is what is known of an event: a hash that tells other data, and the numbers of the lanes that got it.
type sighting struct {
	key    windowKey
	digest uint64
	first  uint64   // lanes 0 to 63
	more   []uint64 // lanes 64 and up
}

func (w *idWindow) init(limit int) {
	w.seed = maphash.MakeSeed()
	for i := range w.shards {
		w.shards[i].index = map[windowKey]int32{}
		w.shards[i].limit = min(max(limit/windowShards, 1), math.MaxInt32)
	}
}

func (w *idWindow) limit() int { return windowShards * w.shards[0].limit }

// digest hashes all that makes an event what it is, besides its time.
func (w *idWindow) digest(j *Job) uint64 {
	h := maphash.Bytes(w.seed, j.Event.Data())
	for _, s := range [...]string{string(j.Event.Type()), j.Event.Tenant(), j.Event.Subject(), j.Event.ID()} {
		h = bits.RotateLeft64(h, 23)*oddFactor + maphash.String(w.seed, s)
	}
	return h
}

// sheaf is the jobs of one event that follow each other in one call.
type sheaf struct {
	jobs   []Job
	key    windowKey
	digest uint64
	fresh  bool // check found nothing known of the event
}

func (f *sheaf) shard() int { return int(f.key % windowShards) }

// sheaves appends jobs to to, cut into sheaves.
func (w *idWindow) sheaves(to []sheaf, jobs []Job) []sheaf {
	for len(jobs) > 0 {
		first, n := &jobs[0], 1
		for n < len(jobs) && jobs[n].Generation == first.Generation && jobs[n].Event.SameAs(first.Event) {
			n++
		}
		to = append(to, sheaf{jobs: jobs[:n], key: w.key(first), digest: w.digest(first)})
		jobs = jobs[n:]
	}
	return to
}

// lock locks the shards of all sheaves, in the order of their numbers, so that two calls never wait for each other.
func (w *idWindow) lock(sheaves []sheaf) (locked uint16) {
	for i := range sheaves {
		locked |= 1 << sheaves[i].shard()
	}
	for rest := locked; rest != 0; rest &= rest - 1 {
		w.shards[bits.TrailingZeros16(rest)].mu.Lock()
	}
	return locked
}

func (w *idWindow) unlock(locked uint16) {
	for rest := locked; rest != 0; rest &= rest - 1 {
		w.shards[bits.TrailingZeros16(rest)].mu.Unlock()
	}
}

// check looks for an id with two kinds of data, among what is known and among the sheaves. Called with their shards
// locked.
func (w *idWindow) check(sheaves []sheaf) error {
	var met map[windowKey]uint64
	if len(sheaves) > 1 {
		met = make(map[windowKey]uint64, len(sheaves))
	}
	for i := range sheaves {
		f := &sheaves[i]
		known := w.shards[f.shard()].find(f.key)
		digest, again := met[f.key]
		if known != nil && known.digest != f.digest || again && digest != f.digest {
			return &ConflictError{EventID: f.jobs[0].Event.ID()}
		}
		f.fresh = known == nil && !again
		if met != nil {
			met[f.key] = f.digest
		}
	}
	return nil
}

// add pushes the jobs of a sheaf to those of their lanes that have not got the event yet. Called with its shard locked.
func (w *idWindow) add(m *Memory, f *sheaf, r *enqueued) {
	s := &w.shards[f.shard()]
	var seen *sighting
	if !f.fresh {
		seen = s.find(f.key)
	}
	if seen == nil { // also when a small window has forgotten it since check
		seen = s.remember(f)
	}
	var l *lane
	for i := range f.jobs {
		l = m.following(l, f.jobs[i].Route)
		if seen.has(l.number) {
			continue
		}
		if l.push(&f.jobs[i], r) {
			seen.add(l.number)
		} else {
			r.refused(l.name)
		}
	}
}

// find returns what is known of an event, or nil. It is good until the shard is unlocked or remembers another.
func (s *windowShard) find(key windowKey) *sighting {
	i, ok := s.index[key]
	if !ok {
		return nil
	}
	return &s.ring[i]
}

// remember puts a new event into the ring, at the expense of the oldest.
func (s *windowShard) remember(f *sheaf) *sighting {
	at := len(s.ring)
	if at < s.limit {
		s.ring = append(s.ring, sighting{})
	} else {
		at = s.next
		delete(s.index, s.ring[at].key)
		s.next = (s.next + 1) % s.limit
	}
	s.ring[at] = sighting{key: f.key, digest: f.digest}
	s.index[f.key] = int32(at)
	return &s.ring[at]
}

func (s *sighting) has(lane int) bool {
	if lane < 64 {
		return s.first&(1<<lane) != 0
	}
	word := lane/64 - 1
	return word < len(s.more) && s.more[word]&(1<<(lane%64)) != 0
}

func (s *sighting) add(lane int) {
	if lane < 64 {
		s.first |= 1 << lane
		return
	}
	word := lane/64 - 1
	for len(s.more) <= word {
		s.more = append(s.more, 0)
	}
	s.more[word] |= 1 << (lane % 64)
}
