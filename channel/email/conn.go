package email

import (
	"crypto/tls"
	"errors"
	"net"
)

// maxReply is how much a relay may say before it is our turn again. RFC 5321 section 4.5.3.1.5 allows 512 bytes a line;
// the certificates of a handshake are counted too.
const maxReply = 256 << 10

var errReplyTooLong = errors.New("the relay talks without end")

// cappedConn ends a reply that has no end: go-mail reads lines and replies of any length into memory.
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

// replyConn is what go-mail reads replies from: the connection, or TLS over it.
type replyConn struct {
	net.Conn
	greeting string // is read first
	// hello says that the answer to EHLO is being read. Its keywords are then written in upper case: they mean the same in
	// any (RFC 5321 section 4.1.1.1), and go-mail compares them as they come.
	hello  bool
	column int  // in the line
	folds  bool // the keyword of the line has not ended
}

// encrypt makes the replyConn for TLS over the connection: go-mail begins with a greeting, which was read in clear.
func (c *replyConn) encrypt(config *tls.Config) (*replyConn, *tls.Conn) {
	encrypted := tls.Client(c.Conn, config)
	return &replyConn{Conn: encrypted, greeting: "220 TLS\r\n"}, encrypted
}

// Read implements io.Reader.
func (c *replyConn) Read(p []byte) (int, error) {
	if c.greeting != "" {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if c.hello {
		for i, b := range p[:n] {
			p[i] = c.fold(b)
		}
	}
	return n, err
}

// fold returns the next byte of an answer to EHLO.
func (c *replyConn) fold(b byte) byte {
	c.column++
	switch {
	case b == '\n':
		c.column, c.folds = 0, true
	case c.column <= len("250-") || !c.folds:
	case b >= 'a' && b <= 'z':
		return b - 'a' + 'A'
	case (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-':
		c.folds = false
	}
	return b
}

// setHello says whether an answer to EHLO comes next.
func (c *replyConn) setHello(on bool) { c.hello, c.column, c.folds = on, 0, true }
