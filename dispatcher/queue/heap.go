package queue

// heap orders what is due by time. Four children per node halve the depth of a binary heap, and the time beside the
// pointer spares a cache miss per comparison: with a million pending retries that is most of the cost.
type heap[T heapMember] []heapItem[T]

// smallHeap is the capacity that a heap may keep when it is empty: a burst does not hold its memory for ever.
const smallHeap = 1024

// heapMember is told its index, so that it can be removed from the middle.
type heapMember interface{ moved(index int32) }

type heapItem[T heapMember] struct {
	due    int64
	member T
}

func (h *heap[T]) push(due int64, member T) {
	*h = append(*h, heapItem[T]{due, member})
	h.up(len(*h) - 1)
}

func (h *heap[T]) remove(index int32) {
	i, last := int(index), len(*h)-1
	item := (*h)[last]
	(*h)[last] = heapItem[T]{}
	*h = (*h)[:last]
	if i < last {
		(*h)[i] = item
		h.down(h.up(i))
	}
	if cap(*h) > smallHeap && last < cap(*h)/4 {
		*h = append(make(heap[T], 0, cap(*h)/2), *h...)
	}
}

func (h heap[T]) set(i int, item heapItem[T]) {
	h[i] = item
	item.member.moved(int32(i))
}

func (h heap[T]) up(i int) int {
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

func (h heap[T]) down(i int) {
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
