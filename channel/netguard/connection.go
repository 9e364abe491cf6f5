package netguard

import (
	"bufio"
	"errors"
	"math"
	"net"
	"syscall"
	"time"
)

// connection is an HTTP/1.1 connection, used by one round trip at a time. Nothing runs for it while it is idle.
type connection struct {
	net.Conn // the TLS connection, or else tcp
	tcp      net.Conn
	reader   *bufio.Reader // of the connection, by Read
	writer   *bufio.Writer // to the connection, by Write
	key      connKey
	epoch    uint64 // of the pool when it was made

	readable  int64 // how many more bytes may be read
	writeErr  error // why the socket did not accept what was written
	control   func(func(fd uintptr)) error
	peek      func(fd uintptr) // made once, since it escapes
	peekEmpty bool             // what peek found
	lastUsed  time.Time
}

// connKey says which requests may use a connection.
type connKey struct{ proxy, scheme, host string }

// errLongHeader ends the reading of a response header.
var errLongHeader = errors.New("the response header is longer than 64 KiB")

func newConnection(tcp, conn net.Conn, key connKey, epoch uint64) *connection {
	c := &connection{Conn: conn, tcp: tcp, key: key, epoch: epoch}
	c.reader, c.writer = bufio.NewReader(c), bufio.NewWriter(c)
	if s, ok := tcp.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.control, c.peek = raw.Control, func(fd uintptr) { c.peekEmpty = nothingToRead(fd) }
		}
	}
	return c
}

// Read implements io.Reader within the limit of limitReads.
func (c *connection) Read(p []byte) (int, error) {
	if c.readable <= 0 {
		return 0, errLongHeader
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.readable)])
	c.readable -= int64(n)
	return n, err
}

// Write implements io.Writer and keeps its error.
func (c *connection) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.writeErr = err
	}
	return n, err
}

// limitReads bounds how much is read from now on; 0 is no bound.
func (c *connection) limitReads(n int64) {
	if c.readable = n; n == 0 {
		c.readable = math.MaxInt64
	}
}

// usable reports whether the other side has neither closed an idle connection nor written to it unasked. A close that
// is on its way cannot be seen.
func (c *connection) usable() bool {
	if c.control == nil {
		return false
	}
	if c.Conn != c.tcp {
		// TLS may have read ahead. With a deadline in the past it reads no further.
		if err := c.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return false
		}
		if n, err := c.Conn.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
			return false
		}
	}
	c.peekEmpty = false
	return c.control(c.peek) == nil && c.peekEmpty
}

// drop closes the connection at once. The Close of TLS may wait for seconds to send its alert.
func (c *connection) drop() { _ = c.tcp.Close() }
