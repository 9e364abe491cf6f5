package sqlitequeue

import (
	"context"
	"errors"
)

// readers are the reading connections, apart by how long they may be busy: who looks for one row does not wait for who
// reads thousands. None waits for the writer.
type readers struct {
	loads   *pool // the loader's
	records *pool // delivered keys and references
	inspect *pool // counts and dead letters
	history *pool
}

func openReaders(ctx context.Context, name string) (*readers, error) {
	r := &readers{loads: newPool(1), records: newPool(2), inspect: newPool(1), history: newPool(2)}
	for _, p := range r.all() {
		for range cap(p.free) {
			c, err := openReader(ctx, name)
			if err != nil {
				return nil, errors.Join(err, r.close())
			}
			p.size++
			p.free <- c
		}
	}
	return r, nil
}

func (r *readers) all() []*pool { return []*pool{r.loads, r.records, r.inspect, r.history} }

// close waits for those who read; after it, reading is ErrClosed.
func (r *readers) close() error {
	var errs []error
	for _, p := range r.all() {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// pool is some connections that share their work.
type pool struct {
	free   chan *conn
	size   int
	closed chan struct{}
}

func newPool(n int) *pool { return &pool{free: make(chan *conn, n), closed: make(chan struct{})} }

// read runs f with a connection, whose queries end when ctx is done.
func (p *pool) read(ctx context.Context, f func(c *conn) error) error {
	if err := p.over(); err != nil {
		return err
	}
	select {
	case c := <-p.free:
		c.ctx = ctx
		defer func() {
			c.ctx = nil
			p.free <- c
		}()
		err := f(c)
		if ended := ctx.Err(); ended != nil && err != nil {
			return ended
		}
		return err
	case <-p.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// over is ErrClosed once the pool is closed.
func (p *pool) over() error {
	select {
	case <-p.closed:
		return ErrClosed
	default:
		return nil
	}
}

func (p *pool) close() error {
	close(p.closed)
	var errs []error
	for range p.size {
		errs = append(errs, (<-p.free).close())
	}
	return errors.Join(errs...)
}

func openReader(ctx context.Context, name string) (*conn, error) {
	c, err := connect(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := c.script(pragmas + "; PRAGMA query_only = ON"); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}
