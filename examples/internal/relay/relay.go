// Package relay is the mail server of the example programs.
package relay

import (
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
)

// Relay is a small SMTP server (RFC 5321) on loopback that takes every mail and passes none on. Its methods are safe
// for concurrent use.
type Relay struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
	mails  []Envelope
}

// Envelope is a mail as it travels: who gets it is what was said before DATA, not what the mail's header says.
type Envelope struct {
	From string
	To   []string
	Data string
}

// New starts a Relay on a free port.
func New() (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{listener: l, open: make(map[net.Conn]bool)}
	r.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil || !r.keep(conn) {
				return
			}
			r.running.Go(func() {
				r.serve(textproto.NewConn(conn))
				r.drop(conn)
			})
		}
	})
	return r, nil
}

// keep notes a connection, for Close; false = it is too late.
func (r *Relay) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		conn.Close()
		return false
	}
	r.open[conn] = true
	return true
}

func (r *Relay) drop(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, conn)
	conn.Close()
}

// Close ends all conversations.
func (r *Relay) Close() {
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for conn := range r.open {
		conn.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// Port is where it listens.
func (r *Relay) Port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// Mails returns what came so far.
func (r *Relay) Mails() []Envelope {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mails)
}

// serve holds one conversation.
func (r *Relay) serve(c *textproto.Conn) {
	var e Envelope
	for answer := "220 relay.example ready"; c.PrintfLine("%s", answer) == nil; {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			answer = "250 relay.example"
		case "MAIL":
			answer, e = "250 sender ok", Envelope{From: inBrackets(rest)}
		case "RCPT":
			answer, e.To = "250 recipient ok", append(e.To, inBrackets(rest))
		case "DATA":
			if c.PrintfLine("354 go ahead") != nil {
				return
			}
			data, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			e.Data = string(data)
			r.mu.Lock()
			r.mails = append(r.mails, e)
			r.mu.Unlock()
			answer, e = "250 queued", Envelope{}
		case "RSET", "NOOP":
			answer, e = "250 ok", Envelope{}
		case "QUIT":
			_ = c.PrintfLine("221 bye")
			return
		default:
			answer = "502 not here"
		}
	}
}

// inBrackets returns the address in "FROM:<address>".
func inBrackets(s string) string {
	_, s, _ = strings.Cut(s, "<")
	address, _, _ := strings.Cut(s, ">")
	return address
}
