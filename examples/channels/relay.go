package main

import (
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
)

// relay is a small SMTP server (RFC 5321) that takes every mail and passes none on.
type relay struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
	mails  []envelope
}

// envelope is a mail as it travels: who gets it is what was said before DATA, not what the mail's header says.
type envelope struct {
	from string
	to   []string
	data string
}

func newRelay() (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, open: make(map[net.Conn]bool)}
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
func (r *relay) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		conn.Close()
		return false
	}
	r.open[conn] = true
	return true
}

func (r *relay) drop(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, conn)
	conn.Close()
}

// Close ends all conversations.
func (r *relay) Close() {
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for conn := range r.open {
		conn.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// last returns the latest mail.
func (r *relay) last() envelope {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mails) == 0 {
		return envelope{}
	}
	return r.mails[len(r.mails)-1]
}

// serve holds one conversation.
func (r *relay) serve(c *textproto.Conn) {
	var e envelope
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
			answer, e = "250 sender ok", envelope{from: inBrackets(rest)}
		case "RCPT":
			answer, e.to = "250 recipient ok", append(e.to, inBrackets(rest))
		case "DATA":
			if c.PrintfLine("354 go ahead") != nil {
				return
			}
			data, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			e.data = string(data)
			r.mu.Lock()
			r.mails = append(r.mails, e)
			r.mu.Unlock()
			answer, e = "250 queued", envelope{}
		case "RSET", "NOOP":
			answer, e = "250 ok", envelope{}
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
