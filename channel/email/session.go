package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// session is a connection to a relay on which we have logged in. One goroutine at a time uses it.
type session struct {
	conn       *cappedConn
	client     *smtp.Client
	credential string // with which it was made
	encrypted  bool
	mails      int
	idleSince  time.Time
	broken     bool // its state is not known
	unbind     func() bool
}

// bind closes the connection when ctx is done, whatever the session is doing then: go-mail has no other way to be
// stopped once it is connected. unbind ends that, and returns false if it came too late.
func (s *session) bind(ctx context.Context) {
	s.unbind = context.AfterFunc(ctx, func() { _ = s.conn.Close() })
}

// command sends a command that go-mail has no way to send as it is needed here.
func (s *session) command(expect int, line string) error {
	id, err := s.client.Text.Cmd("%s", line)
	if err != nil {
		return err
	}
	s.client.Text.StartResponse(id)
	defer s.client.Text.EndResponse(id)
	_, _, err = s.client.Text.ReadResponse(expect)
	return err
}

// responds reports whether the relay still answers, and leaves nothing of the mail before. One that is silent must not
// cost an attempt all its time.
func (s *session) responds(within time.Duration) bool {
	return s.conn.SetDeadline(time.Now().Add(within)) == nil && s.client.Reset() == nil && s.conn.SetDeadline(time.Time{}) == nil
}

// close hangs up.
func (s *session) close() {
	s.unbind()
	_ = s.conn.Close()
}

const quitTimeout = time.Second // how long a relay that does not read may keep us from hanging up

// quit sends QUIT and hangs up without waiting for the answer, which changes nothing.
func (s *session) quit() {
	_ = s.conn.SetDeadline(time.Now().Add(quitTimeout))
	_ = s.client.Text.PrintfLine("QUIT")
	_ = s.client.Close()
}

const (
	maxIdle     = 4                // sessions kept: as many as a route sends at a time by default
	maxIdleTime = 10 * time.Second // relays do not like to be kept waiting, and RFC 5321 lets them hang up
	maxMails    = 100              // in one session; relays have limits of their own, often this one
	probeTime   = 3 * time.Second  // for a session that was kept to show that it is alive
)

// pool keeps sessions for a short time, because a burst of events would pay for a connection, a handshake and a log-in
// each. A session in it costs no goroutine.
type pool struct {
	dialer *dialer
	keep   time.Duration // maxIdleTime
	probe  time.Duration // probeTime

	mu     sync.Mutex
	idle   []*session // the one used last at the end
	timer  *time.Timer
	closed bool
}

// acquire returns a session that is bound to ctx: one that is idle, has answered just now, and was made with the same
// credential under a policy that still holds; or else a new one.
func (p *pool) acquire(ctx context.Context, credential string) (*session, *failure) {
	for s := p.popIdle(); s != nil; s = p.popIdle() {
		s.bind(ctx)
		if s.credential == credential && p.dialer.allows(ctx, s) && s.responds(p.probe) {
			return s, nil
		}
		s.close()
	}
	return p.dialer.open(ctx, credential)
}

func newPool(d *dialer) *pool { return &pool{dialer: d, keep: maxIdleTime, probe: probeTime} }

func (p *pool) popIdle() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	s := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return s
}

// release takes back what acquire returned.
func (p *pool) release(s *session) {
	if s.broken {
		s.close()
		return
	}
	if s.unbind() && s.mails < maxMails && p.putIdle(s) {
		return
	}
	s.quit()
}

func (p *pool) putIdle(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		return false
	}
	s.idleSince = time.Now()
	p.idle = append(p.idle, s)
	if len(p.idle) == 1 {
		p.expireIn(p.keep)
	}
	return true
}

// expireIn closes sessions after d. mu is held.
func (p *pool) expireIn(d time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(d, p.expire)
}

// expire hangs up on the sessions that have waited long enough, and waits for the next.
func (p *pool) expire() {
	p.mu.Lock()
	var old []*session
	for len(p.idle) > 0 && time.Since(p.idle[0].idleSince) >= p.keep {
		old = append(old, p.idle[0])
		p.idle = p.idle[1:]
	}
	if len(p.idle) > 0 && !p.closed {
		p.expireIn(p.keep - time.Since(p.idle[0].idleSince))
	}
	p.mu.Unlock()
	for _, s := range old {
		s.quit()
	}
}

// close hangs up on all idle sessions; later ones are not kept.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, s := range idle {
		s.quit()
	}
}

// maxReply is how much a relay may say before it is our turn again. RFC 5321 section 4.5.3.1.5 allows 512 bytes a line;
// the certificates of a handshake are counted too.
const maxReply = 256 << 10

var errReplyTooLong = errors.New("the reply of the relay is too long")

// cappedConn ends a reply that has no end: go-mail reads lines and replies of any length into memory.
type cappedConn struct {
	net.Conn
	read int // since the last Write; one goroutine uses a connection at a time
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
	// hello says that the answer to EHLO is being read. Its keywords are then written in upper case: they mean the same
	// in any (RFC 5321 section 4.1.1.1), and go-mail compares them as they come.
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

// setFolding says whether an answer to EHLO comes next.
func (c *replyConn) setFolding(on bool) { c.hello, c.column, c.folds = on, 0, true }
