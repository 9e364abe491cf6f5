package lanes

// smallCapacity is what an empty fifo or heap may keep: a burst does not hold its memory for ever.
const smallCapacity = 1024

// fifo is a queue of entries in a ring. Entries are removed from its middle by their place: they stay in the ring until
// they come to its front.
type fifo struct {
	ring  []*Entry // its length is a power of two
	first int
	used  int // slots, those of removed entries included
	place place
	n     int // entries
}

func (f *fifo) slot(i int) **Entry { return &f.ring[(f.first+i)&(len(f.ring)-1)] }

func (f *fifo) pushBack(e *Entry) {
	f.grow()
	*f.slot(f.used) = e
	f.used++
	f.n++
	e.place = f.place
}

func (f *fifo) pushFront(e *Entry) {
	f.grow()
	f.first = (f.first - 1) & (len(f.ring) - 1)
	f.ring[f.first] = e
	f.used++
	f.n++
	e.place = f.place
}

// pop returns the first entry, or nil.
func (f *fifo) pop() *Entry {
	for f.used > 0 {
		e := f.ring[f.first]
		f.ring[f.first] = nil
		f.first = (f.first + 1) & (len(f.ring) - 1)
		f.used--
		if e != nil {
			f.n--
			f.shrink()
			e.place = nowhere
			return e
		}
	}
	return nil
}

// remove takes e out of wherever it is. It looks for it: cancelling and dropping are rare, and e is mostly in front.
func (f *fifo) remove(e *Entry) {
	for i := range f.used {
		if s := f.slot(i); *s == e {
			*s = nil
			f.n--
			e.place = nowhere
			break
		}
	}
	if f.n == 0 {
		*f = fifo{place: f.place}
	}
}

// each calls do for all entries in order.
func (f *fifo) each(do func(*Entry)) {
	for i := range f.used {
		if e := *f.slot(i); e != nil {
			do(e)
		}
	}
}

func (f *fifo) grow() {
	if f.used < len(f.ring) {
		return
	}
	f.resize(max(2*len(f.ring), 8))
}

func (f *fifo) shrink() {
	if len(f.ring) > smallCapacity && f.used < len(f.ring)/8 {
		f.resize(len(f.ring) / 2)
	}
}

func (f *fifo) resize(n int) {
	ring, used := make([]*Entry, n), 0
	f.each(func(e *Entry) {
		ring[used] = e
		used++
	})
	f.ring, f.first, f.used = ring, 0, used
}
