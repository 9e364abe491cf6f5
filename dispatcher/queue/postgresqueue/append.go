package postgresqueue

import (
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// Append implements durable.Tx.
func (t *tx) Append(calls []*durable.Append, lane func(string) *durable.Lane, room func(*durable.Append, *durable.Lane) (bool, error)) error {
	if err := t.store.addLanes(calls); err != nil {
		return err
	}
	k := knownIDs{tx: t, all: map[[16]byte]*knownID{}}
	quick := t.store.careful == 0 && k.areNew(calls)
	if !quick {
		if err := k.remember(calls); err != nil {
			return err
		}
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
			if err := t.appendEvent(a, e, &k, lane, room); err != nil {
				return err
			}
		}
	}
	if quick {
		k.insert()
	} else {
		k.correct()
	}
	t.insert()
	if t.scheduled != nil {
		return t.flush() // their numbers are needed at once
	}
	return nil
}

// appendEvent adds the jobs of an event that are new and find room.
func (t *tx) appendEvent(
	a *durable.Append, e *durable.Event, k *knownIDs, lane func(string) *durable.Lane, room func(*durable.Append, *durable.Lane) (bool, error),
) error {
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
	added := a.Stored[first:]
	if len(added) == 0 {
		return nil
	}
	at := t.takeNumber(added)
	t.rows.addEvent(at, e.Body, added)
	for _, j := range added {
		t.rows.addJob(t, j, at)
		if a.ScheduleKey != "" {
			if t.scheduled == nil {
				t.scheduled = map[laneKey]*durable.Job{}
			}
			t.scheduled[laneKey{t.store.lane(j.Lane), a.ScheduleKey}] = j
		}
	}
	return nil
}

// block is numbers for new events, blockSize from base on. The database takes them within the transaction, and adds
// base to the places that rows have, so that nobody waits for it. base is known once it was sent.
type block struct {
	base  int64 // 0 = it was not sent
	taken int32
	jobs  []placed // whose numbers are to be set
}

// placed is a job and the place of its event in a block.
type placed struct {
	job *durable.Job
	at  int32
}

// blockSize is the increment of the sequence.
const blockSize = 1000

// takeBlock keeps base where the statements of this transaction find it: in a setting that ends with it.
const takeBlock = `SELECT set_config('tocsin_queue.base', nextval('tocsin.event_seq')::text, true)`

// base is that of the statements' block.
const base = `current_setting('tocsin_queue.base')::bigint`

// takeNumber takes a number for the event of jobs, and returns its place in the block.
func (t *tx) takeNumber(jobs []*durable.Job) (at int32) {
	if t.block == nil || t.block.taken == blockSize {
		t.insert() // what has places in the block before
		b := &block{}
		t.block = b
		t.next.add(takeBlock).QueryRow(func(row pgx.Row) error {
			var text string
			err := row.Scan(&text)
			if err == nil {
				b.base, err = strconv.ParseInt(text, 10, 64)
			}
			for _, p := range b.jobs {
				p.job.Ref.Num = b.base + int64(p.at)
			}
			b.jobs = nil
			return err
		})
	}
	b := t.block
	at = b.taken
	b.taken++
	for _, j := range jobs {
		if b.base != 0 {
			j.Ref.Num = b.base + int64(at)
		} else {
			b.jobs = append(b.jobs, placed{j, at})
		}
	}
	return at
}

// newRows are new events and jobs as arrays. Events are by their places in the block.
type newRows struct {
	events    []int32
	counts    []int32
	withKeys  []bool
	bodies    [][]byte
	seqs      []int32
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

func (r *newRows) addEvent(at int32, body string, jobs []*durable.Job) {
	r.events, r.bodies, r.counts = append(r.events, at), append(r.bodies, []byte(body)), append(r.counts, int32(len(jobs)))
	r.withKeys = append(r.withKeys, slices.ContainsFunc(jobs, func(j *durable.Job) bool { return j.OrderKey != "" }))
}

func (r *newRows) addJob(t *tx, j *durable.Job, at int32) {
	lane := t.store.lane(j.Lane)
	delete(t.store.empty, j.Lane)
	notBefore := stamp(j.NotBefore)
	j.Ref.Due = durable.Now
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
	r.seqs, r.lanes, r.dues = append(r.seqs, at), append(r.lanes, lane), append(r.dues, j.Ref.Due)
	r.gens, r.attempts = append(r.gens, j.Generation), append(r.attempts, int32(min(j.Attempt, 1<<31-1)))
	r.enqueued, r.notBefore, r.tried = append(r.enqueued, stamp(j.Enqueued)), append(r.notBefore, notBefore), append(r.tried, stamp(j.FirstTried))
	r.keys, r.names = append(r.keys, orNull(j.OrderKey)), append(r.names, orNull(j.Ref.ScheduleKey))
	r.headers, r.urgent = append(r.headers, stored.EncodeHeaders(j.Headers)), append(r.urgent, j.Urgent)
}

// insert queues the new rows. A job is held back if another one of its order key is there; of one that somebody stores
// at the same moment the owner of the lane learns from its feed.
func (t *tx) insert() {
	r := t.rows
	t.rows = newRows{}
	if len(r.events) > 0 {
		t.next.add(`INSERT INTO tocsin.event (seq, worker, keyed, jobs, format, body) SELECT `+base+` + at, $1, keyed, jobs, $2, body
			FROM unnest($3::int[], $4::bool[], $5::int[], $6::bytea[]) e(at, keyed, jobs, body)`,
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
		SELECT `+base+` + r.at, r.lane, `+due+`, r.generation, r.enqueued, r.not_before, r.first_tried, r.attempt, r.order_key, r.name,
			r.headers, r.urgent
		FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[], $9::bytea[],
			$10::bytea[], $11::bytea[], $12::bool[])
			r(at, lane, due, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers, urgent)`,
		r.seqs, r.lanes, r.dues, r.gens, r.enqueued, r.notBefore, r.tried, r.attempts, r.keys, r.names, r.headers, r.urgent)
}
