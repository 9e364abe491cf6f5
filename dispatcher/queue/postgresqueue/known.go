package postgresqueue

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// knownIDs are the ids of a transaction's new events.
type knownIDs struct {
	tx  *tx
	all map[[16]byte]*knownID
}

// addKnown inserts ids that are not there. Of one that another process inserts at this moment it waits for the end, and
// then fails: the transaction is made again. ON CONFLICT would cost each id half as much again.
const addKnown = `INSERT INTO tocsin.known (key, digest, lanes) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) n(key, digest, lanes)
	WHERE NOT EXISTS (SELECT FROM tocsin.known k WHERE k.key = n.key) RETURNING key`

// insertKnown is for ids that are expected to be new: it fails if one is not.
const insertKnown = `INSERT INTO tocsin.known (key, digest, lanes) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])`

// carefulFor is how many transactions look ids up before they insert them, after one has found an id that was known.
const carefulFor = 16

// areNew reports whether all ids may be inserted without looking: none is used twice, and none is to be looked up.
func (k *knownIDs) areNew(calls []*durable.Append) bool {
	for _, a := range calls {
		if a.ScheduleKey != "" || len(a.Check) > len(a.Events) {
			return false
		}
		for _, e := range a.Events {
			if k.all[e.Key] != nil {
				clear(k.all)
				return false
			}
			k.all[e.Key] = new(knownID)
		}
	}
	return true
}

// insert inserts the ids of what is stored.
func (k *knownIDs) insert() {
	keys := make([][16]byte, 0, len(k.all))
	for key, id := range k.all {
		if id.known {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return
	}
	sortKeys(keys)
	digests, lanes := make([]int64, len(keys)), make([][]byte, len(keys))
	for i, key := range keys {
		digests[i], lanes[i] = k.all[key].digest, k.all[key].lanes
	}
	k.tx.next.add(insertKnown, keys, digests, lanes)
}

// sortKeys puts ids in one order, so that two processes that store the same ones do not wait for each other.
func sortKeys(keys [][16]byte) {
	slices.SortFunc(keys, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
}

// knownID is what is known of an id.
type knownID struct {
	known   bool  // in the database, or by an earlier call of this transaction
	digest  int64 // if it is known
	lanes   []byte
	offered []byte // what was inserted, if it was new
	first   int64  // the digest that was inserted
	isNew   bool   // inserted by this transaction
	read    bool   // from the database
}

// remember inserts the ids that are not known, and reads the others.
func (k *knownIDs) remember(calls []*durable.Append) error {
	var keys, others [][16]byte
	for _, a := range calls {
		if a.ScheduleKey != "" {
			continue
		}
		for _, e := range a.Events {
			id := k.all[e.Key]
			if id == nil {
				id = &knownID{first: int64(e.Digest)}
				k.all[e.Key] = id
				keys = append(keys, e.Key)
			}
			for i := range e.Jobs {
				if lane := k.tx.store.lane(e.Jobs[i].Lane); !hasLane(id.offered, lane) {
					id.offered = addLane(id.offered, lane)
				}
			}
		}
	}
	for _, a := range calls {
		for _, e := range a.Check {
			if a.ScheduleKey == "" && k.all[e.Key] == nil {
				k.all[e.Key] = new(knownID)
				others = append(others, e.Key)
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	sortKeys(keys)
	digests, offered := make([]int64, len(keys)), make([][]byte, len(keys))
	for i, key := range keys {
		digests[i], offered[i] = k.all[key].first, k.all[key].offered
	}
	k.tx.next.rows(func(row pgx.Rows) error {
		var key [16]byte
		err := row.Scan(&key)
		k.all[key].isNew = true
		return err
	}, addKnown, keys, digests, offered)
	if err := k.tx.flush(); err != nil {
		return err
	}
	for _, key := range keys {
		if !k.all[key].isNew {
			others = append(others, key)
		}
	}
	return k.read(others)
}

// read reads what is known of ids, and keeps others from changing it.
func (k *knownIDs) read(keys [][16]byte) error {
	if len(keys) == 0 {
		return nil
	}
	sortKeys(keys)
	k.tx.next.rows(func(row pgx.Rows) error {
		var key [16]byte
		var digest int64
		var known []byte
		err := row.Scan(&key, &digest, &known)
		if id := k.all[key]; id != nil {
			id.known, id.read, id.digest, id.lanes = true, true, digest, known
			id.first, id.offered = digest, known
		}
		return err
	}, "SELECT key, digest, lanes FROM tocsin.known WHERE key = ANY($1::uuid[]) ORDER BY key FOR UPDATE", keys)
	return k.tx.flush()
}

// conflict finds an event whose id is known with other data, or comes with two kinds of it.
func (k *knownIDs) conflict(events []*durable.Event) error {
	var met map[[16]byte]uint64
	if len(events) > 1 {
		met = make(map[[16]byte]uint64, len(events))
	}
	for _, e := range events {
		id := k.all[e.Key]
		digest, again := met[e.Key]
		if id.known && id.digest != int64(e.Digest) || again && digest != e.Digest {
			return &queue.ConflictError{EventID: e.Jobs[0].Event.ID()}
		}
		if met != nil {
			met[e.Key] = e.Digest
		}
	}
	return nil
}

// has reports whether a lane has got an event.
func (k *knownIDs) has(e *durable.Event, lane int32) bool {
	id := k.all[e.Key]
	return id.known && hasLane(id.lanes, lane)
}

// add notes that a lane gets an event.
func (k *knownIDs) add(e *durable.Event, lane int32) {
	id := k.all[e.Key]
	id.known, id.digest = true, int64(e.Digest)
	id.lanes = addLane(slices.Clip(id.lanes), lane)
}

// correct makes what was inserted what became known: some calls may have been refused, and known ids have got new
// lanes.
func (k *knownIDs) correct() {
	var unknown, changed [][16]byte
	var digests []int64
	var known [][]byte
	for key, id := range k.all {
		switch {
		case id.isNew && !id.known:
			unknown = append(unknown, key)
		case id.known && (!id.isNew && !id.read || id.first != id.digest || len(id.offered) != len(id.lanes)):
			changed, digests, known = append(changed, key), append(digests, id.digest), append(known, id.lanes)
		}
	}
	if len(unknown) > 0 {
		k.tx.next.add("DELETE FROM tocsin.known WHERE key = ANY($1::uuid[])", unknown)
	}
	if len(changed) > 0 {
		k.tx.next.add(`INSERT INTO tocsin.known (key, digest, lanes) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])
			ON CONFLICT (key) DO UPDATE SET digest = EXCLUDED.digest, lanes = EXCLUDED.lanes`, changed, digests, known)
	}
}

// laneBytes is how long a lane's number is in known.lanes.
const laneBytes = 4

func addLane(b []byte, lane int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(lane)) }

func hasLane(b []byte, lane int32) bool {
	for ; len(b) >= laneBytes; b = b[laneBytes:] {
		if binary.BigEndian.Uint32(b) == uint32(lane) {
			return true
		}
	}
	return false
}
