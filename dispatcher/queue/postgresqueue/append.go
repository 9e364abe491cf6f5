package postgresqueue

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Append implements durable.Tx.
func (t *tx) Append(calls []*durable.Append, lane func(string) *durable.Lane, room func(*durable.Append, *durable.Lane) (bool, error)) error {
	if err := t.store.addLanes(calls); err != nil {
		return err
	}
	k := knownIDs{tx: t, all: map[[16]byte]*knownID{}}
	events := 0
	for _, a := range calls {
		events += len(a.Events)
	}
	numbers := t.numbers(events)
	if err := k.remember(calls); err != nil {
		return err
	}
	for _, a := range calls {
		a.Stored, a.Refused = nil, nil
		if a.ScheduleKey == "" {
			a.Refused = k.conflict(a.Check)
		}
		if a.Refused != nil {
			continue
		}
		for _, e := range a.Events {
			first := len(a.Stored)
			for i := range e.Jobs {
				j := &e.Jobs[i]
				num, in := t.store.lane(j.Lane), lane(j.Lane)
				if a.ScheduleKey == "" && k.has(e, num) {
					continue
				}
				switch ok, err := room(a, in); {
				case err != nil:
					return err
				case !ok:
					continue
				}
				if a.ScheduleKey == "" {
					k.add(e, num)
				}
				a.Stored = append(a.Stored, &durable.Job{Job: *j, Ref: &lanes.Ref{ScheduleKey: a.ScheduleKey, OrderKey: j.OrderKey}, In: in})
			}
			if len(a.Stored) == first {
				continue
			}
			seq := (*numbers)[0]
			*numbers = (*numbers)[1:]
			t.rows.addEvent(seq, e.Body, a.Stored[first:])
			for _, j := range a.Stored[first:] {
				t.rows.addJob(t, j, seq)
			}
			if a.ScheduleKey != "" {
				if t.scheduled == nil {
					t.scheduled = map[laneKey]int64{}
				}
				for _, j := range a.Stored[first:] {
					t.scheduled[laneKey{t.store.lane(j.Lane), a.ScheduleKey}] = seq
				}
			}
		}
	}
	k.correct()
	t.insert()
	return nil
}

// numbers takes numbers for events. They are there after the next flush.
func (t *tx) numbers(n int) *[]int64 {
	numbers := make([]int64, 0, n)
	t.next.rows(func(row pgx.Rows) error {
		var num int64
		err := row.Scan(&num)
		numbers = append(numbers, num)
		return err
	}, "SELECT nextval('tocsin.event_seq') FROM generate_series(1, $1)", n)
	return &numbers
}

// newRows are new events and jobs as arrays.
type newRows struct {
	events    []int64
	counts    []int32
	withKeys  []bool
	bodies    [][]byte
	seqs      []int64
	lanes     []int32
	dues      []int64
	gens      []int64
	enqueued  []*int64
	notBefore []*int64
	tried     []*int64
	attempts  []int32
	keys      [][]byte
	names     [][]byte
	headers   [][]byte
	urgent    []bool
	keyed     map[laneKey]bool
}

func (r *newRows) addEvent(seq int64, body string, jobs []*durable.Job) {
	r.events, r.bodies, r.counts = append(r.events, seq), append(r.bodies, []byte(body)), append(r.counts, int32(len(jobs)))
	r.withKeys = append(r.withKeys, slices.ContainsFunc(jobs, func(j *durable.Job) bool { return j.OrderKey != "" }))
}

func (r *newRows) addJob(t *tx, j *durable.Job, seq int64) {
	lane := t.store.lane(j.Lane)
	notBefore := stamp(j.NotBefore)
	j.Ref.Num, j.Ref.Due = seq, durable.Now
	if notBefore != nil && *notBefore > t.now {
		j.Ref.Due = *notBefore
	}
	if j.OrderKey != "" {
		key := laneKey{lane, j.OrderKey}
		if r.keyed[key] {
			j.Ref.Due = durable.HeldBack
		} else if r.keyed == nil {
			r.keyed = map[laneKey]bool{}
		}
		r.keyed[key] = true
	}
	r.seqs, r.lanes, r.dues = append(r.seqs, seq), append(r.lanes, lane), append(r.dues, j.Ref.Due)
	r.gens, r.attempts = append(r.gens, j.Generation), append(r.attempts, int32(min(j.Attempt, 1<<31-1)))
	r.enqueued, r.notBefore, r.tried = append(r.enqueued, stamp(j.Enqueued)), append(r.notBefore, notBefore), append(r.tried, stamp(j.FirstTried))
	r.keys, r.names = append(r.keys, orNull(j.OrderKey)), append(r.names, orNull(j.Ref.ScheduleKey))
	r.headers, r.urgent = append(r.headers, encodeHeaders(j.Headers)), append(r.urgent, j.Urgent)
}

// insert queues the new rows. A job is held back if another one of its order key is there; of one that somebody stores at
// the same moment the owner of the lane learns from its feed.
func (t *tx) insert() {
	r := t.rows
	t.rows = newRows{}
	if len(r.events) > 0 {
		t.next.add(`INSERT INTO tocsin.event (seq, worker, keyed, jobs, format, body) SELECT seq, $1, keyed, jobs, $2, body
			FROM unnest($3::bigint[], $4::bool[], $5::int[], $6::bytea[]) e(seq, keyed, jobs, body)`,
			t.store.worker, int16(bodyFormat), r.events, r.withKeys, r.counts, r.bodies)
	}
	if len(r.seqs) == 0 {
		return
	}
	due := "r.due"
	if r.keyed != nil {
		due = `CASE WHEN r.order_key IS NOT NULL AND EXISTS (SELECT FROM tocsin.job k WHERE k.lane = r.lane AND k.order_key = r.order_key)
			THEN 9223372036854775807 ELSE r.due END`
	}
	t.next.add(`INSERT INTO tocsin.job (seq, lane, due, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers, urgent)
		SELECT r.seq, r.lane, `+due+`, r.generation, r.enqueued, r.not_before, r.first_tried, r.attempt, r.order_key, r.name, r.headers, r.urgent
		FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[], $9::bytea[],
			$10::bytea[], $11::bytea[], $12::bool[])
			r(seq, lane, due, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers, urgent)`,
		r.seqs, r.lanes, r.dues, r.gens, r.enqueued, r.notBefore, r.tried, r.attempts, r.keys, r.names, r.headers, r.urgent)
}

// knownIDs are the ids of a transaction's new events.
type knownIDs struct {
	tx  *tx
	all map[[16]byte]*knownID
}

// addKnown inserts ids that are not there. Of one that another process inserts at this moment it waits for the end, and
// then fails: the transaction is made again. ON CONFLICT would cost each id half as much again.
const addKnown = `INSERT INTO tocsin.known (key, digest, lanes) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) n(key, digest, lanes)
	WHERE NOT EXISTS (SELECT FROM tocsin.known k WHERE k.key = n.key) RETURNING key`

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
		return k.tx.flush()
	}
	// In one order, so that two processes that store the same ids do not wait for each other.
	slices.SortFunc(keys, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
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
	slices.SortFunc(keys, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
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

// correct makes what was inserted what became known: some calls may have been refused, and known ids have got new lanes.
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
