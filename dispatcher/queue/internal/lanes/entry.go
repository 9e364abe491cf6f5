package lanes

import (
	"container/list"
	"math"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// Entry is a job in a lane, from Add until it is done. It is kept small, because there may be a million: its lane is
// known from where it is.
type Entry struct {
	event      event.Event
	orderKey   string
	generation int64
	enqueued   int64 // stamp
	firstTried int64 // stamp
	due        int64 // unset = at once
	headers    map[string]string
	turn       int64         // grows with the order in which entries came to wait
	age        *list.Element // in a lane that drops the oldest
	ref        *Ref          // of a job in a store, or scheduled; nil = neither
	attempt    int32
	index      int32 // in the heap
	place      place
	prev, next *Entry // in a fifo
	urgent     bool
	wall       bool // due is what the wall clock shows then, not the clock
}

// scheduleKey is that of a scheduled job in memory; "" = none.
func (e *Entry) scheduleKey() string {
	if e.ref == nil {
		return ""
	}
	return e.ref.key
}

// place says where an entry is.
type place uint8

const (
	nowhere  place = iota // with a worker, or not in the lane any more
	ready                 // may start
	later                 // in the heap
	follower              // behind another entry with its order key
)

// fill makes e the entry of a job.
func (c *clock) fill(e *Entry, j *queue.Job) {
	*e = Entry{
		event: j.Event, orderKey: j.OrderKey, generation: j.Generation, enqueued: c.stamp(j.Enqueued),
		firstTried: c.stamp(j.FirstTried), due: unset, headers: j.Headers,
		attempt: int32(min(j.Attempt, math.MaxInt32)), urgent: j.Urgent && j.OrderKey == "",
	}
	if !j.NotBefore.IsZero() {
		e.due, e.wall = unixNano(j.NotBefore), true
	}
}

// due is when the time of e comes.
func (c *clock) due(e *Entry) int64 {
	if e.wall {
		return c.at(e.due)
	}
	return e.due
}

// job is what fill was given, with what became of it since.
func (c *clock) job(e *Entry, lane string) queue.Job {
	j := queue.Job{
		Event: e.event, Lane: lane, OrderKey: e.orderKey, Generation: e.generation, Enqueued: c.time(e.enqueued),
		FirstTried: c.time(e.firstTried), Attempt: int(e.attempt), Headers: e.headers, Urgent: e.urgent,
	}
	switch {
	case e.due == unset:
	case e.wall:
		j.NotBefore = time.Unix(0, e.due)
	default:
		j.NotBefore = c.wall(e.due)
	}
	return j
}

// count notes a counted attempt that began then.
func (c *clock) count(e *Entry, began time.Time) {
	e.attempt++
	if e.firstTried == unset {
		e.firstTried = c.stamp(began)
	}
}

// arrival is a new job that may start at once and that nobody looks for by key or age, which most jobs are: what an
// Entry would say of it.
type arrival struct {
	event      event.Event
	generation int64
	enqueued   time.Time
	headers    map[string]string
	turn       int64
}

// isArrival reports whether an arrival says all there is to say of a new job.
func isArrival(j *queue.Job) bool {
	return j.OrderKey == "" && !j.Urgent && j.NotBefore.IsZero() && j.Attempt == 0 && j.FirstTried.IsZero()
}

// job is what an arrival was made of.
func (a *arrival) job(lane string) queue.Job {
	return queue.Job{Event: a.event, Lane: lane, Generation: a.generation, Enqueued: a.enqueued, Headers: a.headers}
}

// entry is the arrival as an Entry.
func (c *clock) entry(a *arrival) *Entry {
	return &Entry{
		event: a.event, generation: a.generation, enqueued: c.stamp(a.enqueued), firstTried: unset, due: unset,
		headers: a.headers, turn: a.turn,
	}
}

// arrivals is a queue of jobs by value. They lie side by side and are small, because the one who adds and the one who
// takes are on different cores, and following pointers between those costs more than all the rest of a delivery. What
// is to wait, to come back or to be found again becomes an Entry.
type arrivals struct {
	first, last *block
	n           int
}

// block holds a few arrivals. Lanes exchange them through a pool, so that a burst leaves no memory behind in its lane.
type block struct {
	all  [16]arrival
	head int // index of the first one
	tail int // where the next one goes
	next *block
}

var blocks = sync.Pool{New: func() any { return new(block) }} //nolint:gochecknoglobals // empty blocks, which are all alike

func (a *arrivals) push(one arrival) {
	if a.last == nil || a.last.tail == len(a.last.all) {
		b, _ := blocks.Get().(*block)
		if a.last == nil {
			a.first = b
		} else {
			a.last.next = b
		}
		a.last = b
	}
	a.last.all[a.last.tail] = one
	a.last.tail++
	a.n++
}

// front is the first one, which there must be, until it is removed.
func (a *arrivals) front() *arrival { return &a.first.all[a.first.head] }

// removeFront removes the first one.
func (a *arrivals) removeFront() {
	b := a.first
	b.all[b.head] = arrival{}
	b.head++
	a.n--
	switch {
	case a.n == 0:
		b.head, b.tail = 0, 0
	case b.head == len(b.all):
		a.first = b.next
		*b = block{}
		blocks.Put(b)
	}
}

// fifo is a list of entries, linked through them.
type fifo struct {
	first, last *Entry
	n           int
	place       place
}

func (f *fifo) pushBack(e *Entry) {
	e.prev, e.next = f.last, nil
	f.link(e)
}

func (f *fifo) pushFront(e *Entry) {
	e.prev, e.next = nil, f.first
	f.link(e)
}

// link puts e between the entries that it points to.
func (f *fifo) link(e *Entry) {
	if e.prev == nil {
		f.first = e
	} else {
		e.prev.next = e
	}
	if e.next == nil {
		f.last = e
	} else {
		e.next.prev = e
	}
	f.n++
	e.place = f.place
}

func (f *fifo) remove(e *Entry) {
	if e.prev == nil {
		f.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		f.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	f.n--
	e.prev, e.next, e.place = nil, nil, nowhere
}

// pop removes and returns the first entry, or nil.
func (f *fifo) pop() *Entry {
	e := f.first
	if e != nil {
		f.remove(e)
	}
	return e
}

// each calls do for all entries in order.
func (f *fifo) each(do func(*Entry)) {
	for e := f.first; e != nil; e = e.next {
		do(e)
	}
}

// smallCapacity is what an empty heap may keep: a burst does not hold its memory forever.
const smallCapacity = 1024

// heap orders entries by their due time. Four children a node halve the depth of a binary heap, and the time beside the
// pointer saves a cache miss per comparison: with a million pending retries that is most of the cost.
type heap []heapItem

type heapItem struct {
	due   int64
	entry *Entry
}

func (h *heap) push(due int64, e *Entry) {
	*h = append(*h, heapItem{due, e})
	h.up(len(*h) - 1)
	e.place = later
}

func (h *heap) remove(e *Entry) {
	i, last := int(e.index), len(*h)-1
	item := (*h)[last]
	(*h)[last] = heapItem{}
	*h = (*h)[:last]
	if i < last {
		(*h)[i] = item
		h.down(h.up(i))
	}
	if cap(*h) > smallCapacity && last < cap(*h)/4 {
		*h = append(make(heap, 0, cap(*h)/2), *h...)
	}
	e.place = nowhere
}

// update orders all anew by due.
func (h heap) update(due func(*Entry) int64) {
	for i := range h {
		h[i].due = due(h[i].entry)
	}
	for i := len(h) - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h heap) set(i int, item heapItem) {
	h[i] = item
	item.entry.index = int32(i)
}

func (h heap) up(i int) int {
	item := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if h[parent].due <= item.due {
			break
		}
		h.set(i, h[parent])
		i = parent
	}
	h.set(i, item)
	return i
}

func (h heap) down(i int) {
	item := h[i]
	for {
		least := 4*i + 1
		if least >= len(h) {
			break
		}
		for c, end := least+1, min(least+4, len(h)); c < end; c++ {
			if h[c].due < h[least].due {
				least = c
			}
		}
		if item.due <= h[least].due {
			break
		}
		h.set(i, h[least])
		i = least
	}
	h.set(i, item)
}
