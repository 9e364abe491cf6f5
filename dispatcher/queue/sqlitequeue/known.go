package sqlitequeue

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
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
}

// knownKey is a digest of an event's id and a generation.
type knownKey = [16]byte

// seenEvent is what is known of an event: a digest that tells other data, and the numbers of the lanes that got it.
type seenEvent struct {
	digest uint64
	batch  int64 // the latest that says all of this
	lanes  []int64
}

type knownBatch struct {
	num  int64
	keys []knownKey
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

func (k *known) has(key knownKey, lane int64) bool { return slices.Contains(k.seen[key].lanes, lane) }

// add notes in t that a lane gets an event.
func (k *known) add(t *tx, e *durable.Event, lane int64) {
	before, known := k.seen[e.Key]
	now := seenEvent{digest: e.Digest, batch: k.batch + 1, lanes: append(slices.Clip(before.lanes), lane)}
	k.seen[e.Key] = now
	if before.batch != now.batch {
		t.met = append(t.met, e.Key)
	}
	t.undo = append(t.undo, func() {
		if known {
			k.seen[e.Key] = before
		} else {
			delete(k.seen, e.Key)
		}
	})
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

// knownFormat begins the stored form of a batch: 1 is, for each event, the key, the digest, the number of lanes, and
// the lanes.
const knownFormat = 1

var errKnown = errors.New("the window of known ids is damaged")

func (k *known) encode(keys []knownKey) []byte {
	b := append(make([]byte, 0, 1+27*len(keys)), knownFormat)
	for _, key := range keys {
		s := k.seen[key]
		b = binary.BigEndian.AppendUint64(append(b, key[:]...), s.digest)
		b = binary.AppendUvarint(b, uint64(len(s.lanes)))
		for _, lane := range s.lanes {
			b = binary.AppendUvarint(b, uint64(lane))
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
	for len(b) > 0 {
		var key knownKey
		if len(b) < len(key)+8 {
			return errKnown
		}
		copy(key[:], b)
		s := seenEvent{digest: binary.BigEndian.Uint64(b[len(key):]), batch: num}
		b = b[len(key)+8:]
		lanes, ok := cutNumber(&b)
		if !ok || lanes > uint64(len(b)) { // a lane has a byte at least
			return errKnown
		}
		for range lanes {
			lane, ok := cutNumber(&b)
			if !ok {
				return errKnown
			}
			s.lanes = append(s.lanes, int64(lane))
		}
		k.seen[key] = s
		batch.keys = append(batch.keys, key)
	}
	k.batches = append(k.batches, batch)
	k.count += len(batch.keys)
	k.batch = num
	return nil
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
