package email

import (
	"context"
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

// alive tells whether the relay still answers, and leaves nothing of the mail before. One that is silent must not cost
// an attempt all its time.
func (s *session) alive(within time.Duration) bool {
	return s.conn.SetDeadline(time.Now().Add(within)) == nil && s.client.Reset() == nil && s.conn.SetDeadline(time.Time{}) == nil
}

// close hangs up.
func (s *session) close() {
	s.unbind()
	_ = s.conn.Close()
}

const farewell = time.Second // how long a relay that does not read may keep us from hanging up

// quit sends QUIT and hangs up without waiting for the answer, which changes nothing.
func (s *session) quit() {
	_ = s.conn.SetDeadline(time.Now().Add(farewell))
	_ = s.client.Text.PrintfLine("QUIT")
	_ = s.client.Close()
}
