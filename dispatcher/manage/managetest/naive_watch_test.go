package managetest

import (
	"context"
	"errors"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func (n *naive) Watch(ctx context.Context) (<-chan manage.Change, error) {
	out := make(chan manage.Change)
	switch n.defect {
	case "writers wait for readers of a Watch":
		n.mu.Lock()
		defer n.mu.Unlock()
		n.watchers = append(n.watchers, out)
		return out, nil
	case "leaves a goroutine":
		go func() { <-ctx.Done() }()
	}
	in, err := n.Documents.Watch(n.context(ctx))
	if err != nil {
		return nil, err
	}
	if n.is("Watch drops what is not read at once") {
		out = make(chan manage.Change, 1)
	}
	go n.forward(ctx, in, out)
	return out, nil
}

// forward tells what there is to tell, as the defect has it.
func (n *naive) forward(ctx context.Context, in <-chan manage.Change, out chan<- manage.Change) {
	if !n.is("Watch does not end") && !n.is("Close leaves the channels") {
		defer close(out)
	}
	var held *manage.Change
	for c := range in {
		tell := []manage.Change{c}
		switch n.defect {
		case "Watch drops what is not read at once":
			select {
			case out <- c:
			default:
			}
			continue
		case "Watch tells older ones after newer":
			older := c
			older.Revision--
			tell = append(tell, older)
		case "Watch waits for the next change":
			tell = tell[:0]
			if held != nil {
				tell = append(tell, *held)
			}
			held = &c
		case "Watch is silent on deletions", "Watch says 0 of deletions":
			if _, err := n.memory.Get(context.Background(), c.Tenant); errors.Is(err, manage.ErrNotFound) {
				if n.is("Watch is silent on deletions") {
					continue
				}
				tell[0].Revision = 0
			}
		}
		for _, c := range tell {
			select {
			case out <- c:
			case <-ctx.Done():
				return
			}
		}
	}
}

// cutOff is a naive store behind a network.
type cutOff struct {
	*naive
	over context.Context // of the test

	mu     sync.Mutex
	whole  chan struct{} // closed when nothing is cut; nil = nothing ever was
	cuts   []chan struct{}
	healed []chan struct{}
}

func (c *cutOff) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = make(chan struct{})
	for _, w := range c.cuts {
		w <- struct{}{}
	}
}

func (c *cutOff) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.whole)
	for _, w := range c.healed {
		w <- struct{}{}
	}
}

// pass returns when the network is whole, or ctx is done.
func (c *cutOff) pass(ctx context.Context) error {
	c.mu.Lock()
	whole := c.whole
	c.mu.Unlock()
	if whole == nil {
		return nil
	}
	if c.is("waits for the network") {
		ctx = c.over
	}
	select {
	case <-whole:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cutOff) Get(ctx context.Context, tenant string) (manage.Record, error) {
	if err := c.pass(ctx); err != nil {
		return manage.Record{}, err
	}
	return c.naive.Get(ctx, tenant)
}

func (c *cutOff) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if err := c.pass(ctx); err != nil {
		return 0, err
	}
	return c.naive.Put(ctx, tenant, r, expect)
}

func (c *cutOff) Watch(ctx context.Context) (<-chan manage.Change, error) {
	in, err := c.naive.Watch(ctx)
	if err != nil {
		return nil, err
	}
	out, cut, healed := make(chan manage.Change), make(chan struct{}, 10), make(chan struct{}, 10)
	c.mu.Lock()
	c.cuts, c.healed = append(c.cuts, cut), append(c.healed, healed)
	c.mu.Unlock()
	go func() {
		defer close(out)
		dead := false
		for {
			var tell []manage.Change
			select {
			case <-cut:
				switch c.defect {
				case "a cut closes the Watch":
					return
				case "a cut ends the Watch in silence":
					dead = true
				}
				<-healed
				for len(in) > 0 {
					<-in
				}
				select { // what the store had ready
				case <-in:
				default:
				}
				if !c.is("a cut is passed over") {
					tell = append(tell, manage.Change{Resync: true})
				}
			case change, ok := <-in:
				if !ok {
					return
				}
				tell = append(tell, change)
			}
			for _, change := range tell {
				if dead {
					continue
				}
				select {
				case out <- change:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}
