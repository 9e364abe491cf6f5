package dedup

// lease is a claim in flight. The zero lease marks a free number.
type lease struct {
	key   hash
	token string
	end   instant
}

// leases numbers the claims in flight of a shard. The number finds a lease without a second hash map.
type leases struct {
	all      []lease
	free     []int   // numbers to use again
	firstEnd instant // no lease ends before
}

func newLeases() leases { return leases{firstEnd: never} }

func (l *leases) get(number int) *lease { return &l.all[number] }

func (l *leases) add(x lease) (number int) {
	l.firstEnd = min(l.firstEnd, x.end)
	if n := len(l.free); n > 0 {
		number, l.free = l.free[n-1], l.free[:n-1]
		l.all[number] = x
		return number
	}
	l.all = append(l.all, x)
	return len(l.all) - 1
}

func (l *leases) remove(number int) {
	l.all[number] = lease{}
	l.free = append(l.free, number)
}

// removeEnded removes the leases that have ended and returns their keys. It looks at all of them, so not before one can
// have ended: a shard full of claims would otherwise do that on every call.
func (l *leases) removeEnded(now instant) (keys []hash) {
	if now < l.firstEnd {
		return nil
	}
	l.firstEnd = never
	for number, x := range l.all {
		switch {
		case x == lease{}:
		case now >= x.end:
			keys = append(keys, x.key)
			l.remove(number)
		default:
			l.firstEnd = min(l.firstEnd, x.end)
		}
	}
	return keys
}
