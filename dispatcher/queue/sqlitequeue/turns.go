package sqlitequeue

import "container/list"

// turns are the jobs of a lane that wait in memory, in the order they start: urgent ones first, then as they came.
type turns struct{ urgent, plain list.List }

func (t *turns) len() int { return t.urgent.Len() + t.plain.Len() }

func (t *turns) listOf(r *row) *list.List {
	if r.urgent && r.orderKey == "" {
		return &t.urgent
	}
	return &t.plain
}

func (t *turns) pushBack(r *row)  { r.turn = t.listOf(r).PushBack(r) }
func (t *turns) pushFront(r *row) { r.turn = t.listOf(r).PushFront(r) }

func (t *turns) remove(r *row) {
	t.listOf(r).Remove(r.turn)
	r.turn = nil
}

// pop removes the first one; nil = there is none.
func (t *turns) pop() *row {
	for _, l := range [...]*list.List{&t.urgent, &t.plain} {
		if front := l.Front(); front != nil {
			r, _ := l.Remove(front).(*row)
			r.turn = nil
			return r
		}
	}
	return nil
}
