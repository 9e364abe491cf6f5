package main

import (
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
)

// relay is a small SMTP server (RFC 5321) that takes every mail and passes none on.
type relay struct {
	listener net.Listener
	news     *news // told of each mail
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
	mails  []string
}

func newRelay(n *news) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, news: n, open: make(map[net.Conn]bool)}
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

// subjects returns those of the mails so far.
func (r *relay) subjects() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, m := range r.mails {
		parsed, err := mail.ReadMessage(strings.NewReader(m))
		if err == nil {
			all = append(all, parsed.Header.Get("Subject"))
		}
	}
	return all
}

// serve holds one conversation.
func (r *relay) serve(c *textproto.Conn) {
	for answer := "220 relay.example ready"; c.PrintfLine("%s", answer) == nil; {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			answer = "250 relay.example"
		case "MAIL":
			answer = "250 sender ok"
		case "RCPT":
			answer = "250 recipient ok"
		case "DATA":
			if c.PrintfLine("354 go ahead") != nil {
				return
			}
			data, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			r.mu.Lock()
			r.mails = append(r.mails, string(data))
			r.mu.Unlock()
			r.news.tell()
			answer = "250 queued"
		case "RSET", "NOOP":
			answer = "250 ok"
		case "QUIT":
			_ = c.PrintfLine("221 bye")
			return
		default:
			answer = "502 not here"
		}
	}
}
