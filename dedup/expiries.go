package dedup

// expiry is a done key and when it ends.
type expiry struct {
	key hash
	end instant
}

// expiries gives keys back in the order of their ends.
//
// With one window for all keys each new end is the latest, and a ring is enough: constant time, no moves. An end
// before the ring's last one comes from a shorter window and goes to a heap. So no key waits behind a longer one.
type expiries struct {
	next instant // no key ends before: spares a look at the ring, which is seldom in the processor's cache
	ring ring
	heap heap
}

func newExpiries() expiries { return expiries{next: never} }

func (x *expiries) push(e expiry) {
	x.next = min(x.next, e.end)
	if x.ring.n > 0 && e.end < x.ring.last().end {
		x.heap.push(e)
		return
	}
	x.ring.push(e)
}

// popUntil removes and returns the key that ends first, if it ends at limit or before.
func (x *expiries) popUntil(limit instant) (expiry, bool) {
	if limit < x.next {
		return expiry{}, false
	}
	return x.pop(limit)
}

func (x *expiries) pop(limit instant) (expiry, bool) {
	fromRing := x.ring.n > 0 && (len(x.heap) == 0 || x.ring.first().end <= x.heap[0].end)
	switch {
	case fromRing && x.ring.first().end <= limit:
		return x.ring.pop(), true
	case fromRing:
		x.next = x.ring.first().end
	case len(x.heap) > 0 && x.heap[0].end <= limit:
		return x.heap.pop(), true
	case len(x.heap) > 0:
		x.next = x.heap[0].end
	default:
		x.next = never
	}
	return expiry{}, false
}

// ring is a queue in a circular buffer whose length is a power of two.
type ring struct {
	buf  []expiry
	head int
	n    int
}

func (r *ring) at(i int) *expiry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }
func (r *ring) first() *expiry   { return r.at(0) }
func (r *ring) last() *expiry    { return r.at(r.n - 1) }

func (r *ring) push(e expiry) {
	if r.n == len(r.buf) {
		buf := make([]expiry, max(8, 2*len(r.buf)))
		k := copy(buf, r.buf[r.head:])
		copy(buf[k:], r.buf[:r.head])
		r.buf, r.head = buf, 0
	}
	r.n++
	*r.last() = e
}

func (r *ring) pop() expiry {
	e := *r.first()
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return e
}

// heap is a binary heap, the first to end at index 0.
type heap []expiry

func (h *heap) push(e expiry) {
	s := append(*h, e)
	*h = s
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if s[parent].end <= s[i].end {
			return
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

func (h *heap) pop() expiry {
	s := *h
	e := s[0]
	s[0] = s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(s) {
			return e
		}
		if child+1 < len(s) && s[child+1].end < s[child].end {
			child++
		}
		if s[i].end <= s[child].end {
			return e
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
}
