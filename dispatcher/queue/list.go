package queue

// An entry is in up to two lists at once: one for its place (ready or follower), one for its age.
const (
	byPlace = iota
	byAge
)

type link struct{ prev, next *entry }

// list is a doubly linked list through one of the entries' links, so moving an entry never allocates.
type list struct {
	link        int
	front, back *entry
	n           int
}

func (l *list) pushBack(e *entry) {
	e.links[l.link] = link{prev: l.back}
	if l.back == nil {
		l.front = e
	} else {
		l.back.links[l.link].next = e
	}
	l.back = e
	l.n++
}

func (l *list) pushFront(e *entry) {
	e.links[l.link] = link{next: l.front}
	if l.front == nil {
		l.back = e
	} else {
		l.front.links[l.link].prev = e
	}
	l.front = e
	l.n++
}

func (l *list) remove(e *entry) {
	at := e.links[l.link]
	if at.prev == nil {
		l.front = at.next
	} else {
		at.prev.links[l.link].next = at.next
	}
	if at.next == nil {
		l.back = at.prev
	} else {
		at.next.links[l.link].prev = at.prev
	}
	e.links[l.link] = link{}
	l.n--
}
