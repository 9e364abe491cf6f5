package sqlitequeue

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// conn is one connection to the file, used by one goroutine at a time. It talks to the driver directly: database/sql
// between would only cost time. A statement is prepared when it is first used, and kept.
type conn struct {
	raw        driver.Conn
	ctx        context.Context // of the call that reads; nil = nobody waits for less than the result
	statements map[string]*statement
	args       []driver.NamedValue
}

type statement struct {
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	close func() error
	row   []driver.Value
}

// busyTimeout is how long another program's lock is waited for.
const busyTimeout = 10 * time.Second

// pragmas are set on every connection. The writing one sets journal mode and its limits besides.
const pragmas = `PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY`

// dsn names a file for the driver, whatever characters are in its path.
func dsn(path string, parameters url.Values) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: parameters.Encode()}
	return u.String()
}

func connect(ctx context.Context, name string) (*conn, error) {
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, statements: map[string]*statement{}}, nil
}

// script runs SQL that is not worth keeping prepared.
func (c *conn) script(text string) error {
	execer, ok := c.raw.(driver.ExecerContext)
	if !ok {
		return errDriver
	}
	_, err := execer.ExecContext(context.Background(), text, nil)
	return err
}

var errDriver = errors.New("the SQLite driver lacks an interface this package was built for")

func (c *conn) prepare(text string) (*statement, error) {
	if s := c.statements[text]; s != nil {
		return s, nil
	}
	raw, err := c.raw.Prepare(text)
	if err != nil {
		return nil, err
	}
	s := &statement{close: raw.Close}
	var executes, queries bool
	s.exec, executes = raw.(driver.StmtExecContext)
	s.query, queries = raw.(driver.StmtQueryContext)
	if !executes || !queries {
		return nil, errors.Join(errDriver, raw.Close())
	}
	c.statements[text] = s
	return s, nil
}

// bind lays out arguments as the driver wants them. They are int64, string, []byte or nil.
func (c *conn) bind(values []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, v := range values {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}

// exec runs a statement and reports how many rows it changed.
func (c *conn) exec(text string, values ...any) (int64, error) {
	s, err := c.prepare(text)
	if err != nil {
		return 0, err
	}
	result, err := s.exec.ExecContext(context.Background(), c.bind(values))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// each calls f for each row of a query, until it returns false. f must not use the same statement, nor keep the row.
// When the conn's ctx is done, it ends with that error; the driver looks only while SQLite searches for the first row,
// so a query that may search long for the others is to be written so that it does not.
func (c *conn) each(f func(row []driver.Value) bool, text string, values ...any) (err error) {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	ctx := c.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	rows, err := s.query.QueryContext(ctx, c.bind(values))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	for {
		switch err := rows.Next(s.row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if !f(s.row) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// number is the integer a query gives, 0 if it gives none or NULL.
func (c *conn) number(text string, values ...any) (n int64, err error) {
	err = c.each(func(row []driver.Value) bool { n = integer(row[0]); return false }, text, values...)
	return n, err
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// integer, text and blob read a column that is NULL or of that type, as STRICT tables guarantee.
func integer(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func text(v driver.Value) string {
	s, _ := v.(string)
	return s
}

func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}

// pragma reads a setting, or sets it and reads what it is then.
func (c *conn) pragma(name string) (value string, err error) {
	err = c.each(func(row []driver.Value) bool { value = fmt.Sprint(row[0]); return false }, "PRAGMA "+name)
	return value, err
}

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
	if err := ctx.Err(); err != nil {
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
