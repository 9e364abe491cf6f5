package sqlitequeue

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// known count which lanes got which of the latest events, so that enqueueing again is safe, also after a restart.
// It is looked up in memory; the file has a row per group commit, which is read at the start and costs next to nothing
// beside the jobs. The writing goroutine owns it.
type known struct {
	limit   int
	seen    map[knownKey]seenEvent
	batches []knownBatch // the oldest first
	count   int          // keys in all batches
	batch   int64        // number of the latest
	recent  laneLists
}

// knownKey is a digest of an event's id and a generation.
type knownKey = [16]byte

// seenEvent is what is known of an event: a digest that tells other data, and the keys of the lanes that got it, in a
// list that events share and nobody changes. Lanes have keys here, not numbers: a lane may be forgotten and its number
// be used again.
type seenEvent struct {
	digest uint64
	batch  int64 // the latest that says all of this
	lanes  []uint64
}

// laneLists are a few lists of lanes. Most events go to the same lanes as one shortly before.
type laneLists struct {
	all  [][]uint64
	next int // to be replaced
}

const fewLists = 16

// find returns the place of a list; below 0 = it is not there.
func (l *laneLists) find(lanes []uint64) int {
	return slices.IndexFunc(l.all, func(other []uint64) bool { return slices.Equal(other, lanes) })
}

// add adds a list, if need be in the place of another one.
func (l *laneLists) add(lanes []uint64) {
	if len(l.all) < fewLists {
		l.all = append(l.all, lanes)
		return
	}
	l.all[l.next] = lanes
	l.next = (l.next + 1) % fewLists
}

// shared is a list with these lanes that may be kept.
func (l *laneLists) shared(lanes []uint64) []uint64 {
	if at := l.find(lanes); at >= 0 {
		return l.all[at]
	}
	lanes = slices.Clip(slices.Clone(lanes))
	l.add(lanes)
	return lanes
}

type knownBatch struct {
	num  int64
	keys []knownKey
}

// laneSet are the lanes of an event, by their keys: those that it had got to, and more.
type laneSet struct {
	list []uint64
	many map[uint64]struct{} // the same when there may be many
}

// fewLanes is how many are looked through one by one.
const fewLanes = 32

// newLaneSet makes the set of a list that may be shared, to which up to so many may be added.
func newLaneSet(list []uint64, more int) laneSet {
	s := laneSet{list: slices.Clip(list)}
	if len(list)+more > fewLanes {
		s.many = make(map[uint64]struct{}, len(list)+more)
		for _, lane := range list {
			s.many[lane] = struct{}{}
		}
	}
	return s
}

func (s *laneSet) has(lane uint64) bool {
	if s.many != nil {
		_, ok := s.many[lane]
		return ok
	}
	return slices.Contains(s.list, lane)
}

func (s *laneSet) add(lane uint64) {
	s.list = append(s.list, lane)
	if s.many != nil {
		s.many[lane] = struct{}{}
	}
}

// conflict finds an event whose id is known with other data, or comes with two kinds of it.
func (k *known) conflict(events []*durable.Event) error {
	var met map[knownKey]uint64
	if len(events) > 1 {
		met = make(map[knownKey]uint64, len(events))
	}
	for i := range events {
		e := events[i]
		s, known := k.seen[e.Key]
		digest, again := met[e.Key]
		if known && s.digest != e.Digest || again && digest != e.Digest {
			return &queue.ConflictError{EventID: e.Jobs[0].Event.ID()}
		}
		if met != nil {
			met[e.Key] = e.Digest
		}
	}
	return nil
}

// set notes in t that an event has got to these lanes.
func (k *known) set(t *tx, e *durable.Event, lanes []uint64) {
	before, known := k.seen[e.Key]
	now := seenEvent{digest: e.Digest, batch: k.batch + 1, lanes: k.recent.shared(lanes)}
	k.seen[e.Key] = now
	if before.batch != now.batch {
		t.met = append(t.met, e.Key)
	}
	t.seen = append(t.seen, seenBefore{e.Key, before, known})
}

// seenBefore is what was known of an event before t.
type seenBefore struct {
	key   knownKey
	event seenEvent
	known bool
}

// undo forgets what t has noted.
func (k *known) undo(t *tx) {
	for _, b := range slices.Backward(t.seen) {
		if b.known {
			k.seen[b.key] = b.event
		} else {
			delete(k.seen, b.key)
		}
	}
}

// store writes what t has added, and forgets the oldest for it.
func (k *known) store(t *tx) error {
	if len(t.met) == 0 {
		return nil
	}
	evicted, kept := 0, k.count+len(t.met)
	for evicted < len(k.batches) && kept-len(k.batches[evicted].keys) >= k.limit {
		kept -= len(k.batches[evicted].keys)
		evicted++
	}
	if evicted > 0 {
		if _, err := t.exec("DELETE FROM known WHERE num <= ?", k.batches[evicted-1].num); err != nil {
			return err
		}
	}
	num := k.batch + 1
	if _, err := t.exec("INSERT INTO known (num, entries) VALUES (?, ?)", num, k.encode(t.met)); err != nil {
		return err
	}
	met := t.met
	t.then = append(t.then, func() {
		for _, b := range k.batches[:evicted] {
			k.remove(b)
		}
		k.batches = append(slices.Delete(k.batches, 0, evicted), knownBatch{num, met})
		k.batch, k.count = num, kept
	})
	return nil
}

func (k *known) remove(b knownBatch) {
	for _, key := range b.keys {
		if k.seen[key].batch == b.num { // else a later one has it as well
			delete(k.seen, key)
		}
	}
}

// knownFormat begins the stored form of a batch: 2 is, for each event, the key, the digest, and its lanes: the place in
// laneLists, from 1, of a list that came before, or 0, the number of lanes and their keys.
const knownFormat = 2

var errKnown = errors.New("the window of known ids is damaged")

func (k *known) encode(keys []knownKey) []byte {
	b := append(make([]byte, 0, 1+32*len(keys)), knownFormat)
	var lists laneLists
	for _, key := range keys {
		s := k.seen[key]
		b = binary.BigEndian.AppendUint64(append(b, key[:]...), s.digest)
		at := lists.find(s.lanes)
		b = binary.AppendUvarint(b, uint64(at+1))
		if at >= 0 {
			continue
		}
		lists.add(s.lanes)
		b = binary.AppendUvarint(b, uint64(len(s.lanes)))
		for _, lane := range s.lanes {
			b = binary.BigEndian.AppendUint64(b, lane)
		}
	}
	return b
}

// decode takes in a stored batch; they come in the order they were written.
func (k *known) decode(num int64, b []byte) error {
	if len(b) == 0 || b[0] != knownFormat {
		return errKnown
	}
	b = b[1:]
	batch := knownBatch{num: num}
	var lists laneLists
	for len(b) > 0 {
		key, s, ok := cutSeen(&b)
		at, ok2 := stored.CutNumber(&b)
		if !ok || !ok2 || at > uint64(len(lists.all)) {
			return errKnown
		}
		if at > 0 {
			s.lanes = lists.all[at-1]
		} else {
			if s.lanes, ok = cutLanes(&b); !ok {
				return errKnown
			}
			lists.add(s.lanes)
			s.lanes = k.recent.shared(s.lanes)
		}
		s.batch = num
		k.seen[key] = s
		batch.keys = append(batch.keys, key)
	}
	k.add(batch)
	return nil
}

// cutLanes takes a list of lanes off the front of b.
func cutLanes(b *[]byte) ([]uint64, bool) {
	n, ok := stored.CutNumber(b)
	if !ok || n > uint64(len(*b)/8) {
		return nil, false
	}
	if n == 0 {
		return nil, true
	}
	lanes := make([]uint64, n)
	for i := range lanes {
		lanes[i] = binary.BigEndian.Uint64((*b)[8*i:])
	}
	*b = (*b)[8*n:]
	return lanes, true
}

// cutSeen takes an event without its lanes off the front of b.
func cutSeen(b *[]byte) (key knownKey, s seenEvent, ok bool) {
	if len(*b) < len(key)+8 {
		return key, s, false
	}
	copy(key[:], *b)
	s.digest = binary.BigEndian.Uint64((*b)[len(key):])
	*b = (*b)[len(key)+8:]
	return key, s, true
}

// add adds a batch, the latest.
func (k *known) add(b knownBatch) {
	k.batches = append(k.batches, b)
	k.count += len(b.keys)
	k.batch = b.num
}

// load reads the window of a file.
func (k *known) load(c *conn) error {
	k.seen = map[knownKey]seenEvent{}
	var bad error
	err := c.each(func(row []driverValue) bool {
		bad = k.decode(integer(row[0]), blob(row[1]))
		return bad == nil
	}, "SELECT num, entries FROM known ORDER BY num")
	return errors.Join(err, bad)
}
