package lanes

// arrivals is a queue of entries by value: the jobs that have come and may start at once, which most jobs do. They lie
// side by side, because the one who adds and the one who takes are on different cores, and following pointers between
// those costs more than all the rest of a delivery. What is to wait, to come back or to be found again gets an entry of
// its own.
type arrivals struct {
	ring  []Entry // its length is a power of two
	first int
	n     int
}

// push returns the new last entry, to be filled.
func (a *arrivals) push() *Entry {
	if a.n == len(a.ring) {
		a.resize(max(2*len(a.ring), 8))
	}
	e := &a.ring[(a.first+a.n)&(len(a.ring)-1)]
	a.n++
	return e
}

// pop moves the first entry, of which there must be one, to e.
func (a *arrivals) pop(e *Entry) {
	*e = a.ring[a.first]
	a.ring[a.first] = Entry{}
	a.first = (a.first + 1) & (len(a.ring) - 1)
	a.n--
	if len(a.ring) > smallCapacity && a.n < len(a.ring)/8 {
		a.resize(len(a.ring) / 2)
	}
}

func (a *arrivals) resize(n int) {
	ring := make([]Entry, n)
	end := min(a.first+a.n, len(a.ring))
	k := copy(ring, a.ring[a.first:end])
	copy(ring[k:], a.ring[:a.n-k])
	a.ring, a.first = ring, 0
}
