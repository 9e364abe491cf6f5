package watch

import (
	"context"
	"sync"
)

// Hub hands published values to subscribers, of each key the latest. Its zero value is ready for use. Safe for
// concurrent use; no publisher waits for a subscriber.
type Hub[V any] struct {
	scope Scope

	mu     sync.Mutex
	orders map[string]uint64 // of the latest value of each key
	subs   map[*inbox[V]]struct{}
}

// inbox is what a subscriber has not read yet.
type inbox[V any] struct {
	keys   []string // in the order in which they came
	values map[string]V
	filled chan struct{} // has room for one
}

// Subscribe returns a channel of what is published from now on. It is closed when ctx is done or the hub is closed. It
// reports false if the hub is closed.
func (h *Hub[V]) Subscribe(ctx context.Context) (<-chan V, bool) {
	in := &inbox[V]{values: map[string]V{}, filled: make(chan struct{}, 1)}
	out := make(chan V)
	h.mu.Lock()
	if h.subs == nil {
		h.subs = map[*inbox[V]]struct{}{}
	}
	h.subs[in] = struct{}{}
	h.mu.Unlock()
	ok := h.scope.Go(ctx, func(ctx context.Context) {
		defer close(out)
		defer h.remove(in)
		h.forward(ctx, in, out)
	})
	if !ok {
		h.remove(in)
	}
	return out, ok
}

func (h *Hub[V]) remove(in *inbox[V]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, in)
}

func (h *Hub[V]) forward(ctx context.Context, in *inbox[V], out chan<- V) {
	for {
		v, ok := h.take(in)
		if !ok {
			select {
			case <-in.filled:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case out <- v:
		case <-ctx.Done():
			return
		}
	}
}

func (h *Hub[V]) take(in *inbox[V]) (v V, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(in.keys) == 0 {
		return v, false
	}
	key := in.keys[0]
	v = in.values[key]
	in.keys = in.keys[1:]
	delete(in.values, key)
	return v, true
}

// Publish hands a key's value to all subscribers, in the place of one that they have not read. A value whose order is
// not above that of the key's latest is left out: publishers may overtake each other.
func (h *Hub[V]) Publish(key string, order uint64, v V) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.orders == nil {
		h.orders = map[string]uint64{}
	}
	if latest, ok := h.orders[key]; ok && order <= latest {
		return
	}
	h.orders[key] = order
	for in := range h.subs {
		if _, waits := in.values[key]; !waits {
			in.keys = append(in.keys, key)
		}
		in.values[key] = v
		select {
		case in.filled <- struct{}{}:
		default:
		}
	}
}

// Closed reports whether Close was called.
func (h *Hub[V]) Closed() bool { return h.scope.Closed() }

// Close closes the channels of all subscribers and waits for their goroutines.
func (h *Hub[V]) Close() { h.scope.Close() }
