package lanes

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
