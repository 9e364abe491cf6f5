package email

import (
	"errors"
	"net"
)

// maxReply is how much a relay may say before it is our turn again. RFC 5321 section 4.5.3.1.5 allows 512 bytes a line; the
// certificates of a handshake are counted too.
const maxReply = 256 << 10

var errReplyTooLong = errors.New("the relay talks without end")

// cappedConn ends a relay's speech that has no end: go-mail reads lines and replies of any length into memory.
type cappedConn struct {
	net.Conn
	read int // since the last Write; one goroutine speaks with a relay at a time
}

func (c *cappedConn) Read(p []byte) (int, error) {
	if c.read > maxReply {
		return 0, errReplyTooLong
	}
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

func (c *cappedConn) Write(p []byte) (int, error) {
	c.read = 0
	return c.Conn.Write(p)
}
