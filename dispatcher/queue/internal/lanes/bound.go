package lanes

import (
	"cmp"
	"container/list"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// setBound takes effect for jobs that are added from now on.
func (l *Lane) setBound(b queue.Bound) {
	l.bounded = l.handler == nil && (b.Jobs > 0 || b.GroupJobs > 0 || b.DropOldest || b.DeadLetters > 0 || b.DeadLetterAge > 0)
	if l.s.hooks.Bound != nil {
		l.s.hooks.Bound(l, b)
		return
	}
	l.bound = b
	l.group = l.s.groups.Move(l.group, b, l.waiting)
	if !b.DropOldest && l.ages == nil {
		return
	}
	var all []*Entry
	l.each(func(e *Entry) {
		e.age = nil
		all = append(all, e)
	})
	if l.ages = nil; !b.DropOldest {
		return
	}
	slices.SortFunc(all, func(a, b *Entry) int { return cmp.Compare(a.turn, b.turn) })
	l.ages = list.New()
	for _, e := range all {
		e.age = l.ages.PushBack(e)
	}
}

// countWaiting counts so many more jobs among those that wait, or fewer.
func (l *Lane) countWaiting(n int) {
	l.waiting += n
	if l.group != nil {
		l.group.Add(n)
	}
}

// makeRoom counts one more job among those that wait, if there is room for it or can be made. A job that is dropped for
// it is added to dropped, which is nil where none may be; what had no room is named in full.
func (l *Lane) makeRoom(dropped *[]Dropped, full *queue.BacklogError) bool {
	most := l.bound.Jobs
	if most <= 0 {
		most = queue.DefaultBacklog
	}
	fits := l.waiting < most
	if fits && l.group.Take(l.bound.GroupJobs) {
		l.waiting++
		return true
	}
	if dropped != nil && l.dropOldest(dropped) {
		l.countWaiting(1)
		return true
	}
	full.Lanes = append(full.Lanes, l.name)
	if fits {
		full.Groups = append(full.Groups, l.bound.Group)
	}
	return false
}

// dropOldest drops the oldest of the jobs that wait, if there is one that may be. One to be kept is asked about once.
func (l *Lane) dropOldest(dropped *[]Dropped) bool {
	for l.ages != nil && l.ages.Len() > 0 {
		e, _ := l.ages.Remove(l.ages.Front()).(*Entry)
		e.age = nil
		if l.bound.Keep != nil && l.bound.Keep(e.event) {
			continue
		}
		*dropped = append(*dropped, Dropped{l.s.clock.job(e, l.name), l.bound})
		l.takeOut(e)
		l.releaseOrderKey(e)
		return true
	}
	return false
}
