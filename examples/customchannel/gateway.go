package main

import (
	"bufio"
	"fmt"
	"net"
	"sync"
)

// gateway is the other end: a TCP server that answers as scripted, one answer per connection, the last one forever.
type gateway struct {
	net.Listener
	mu      sync.Mutex
	answers []string
	pages   []string
	conns   map[net.Conn]bool
	serving sync.WaitGroup
}

func newGateway(answers ...string) (*gateway, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gateway{Listener: l, answers: answers, conns: map[net.Conn]bool{}}
	g.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.conns[conn] = true
			g.mu.Unlock()
			g.serving.Go(func() { g.serve(conn) })
		}
	})
	return g, nil
}

func (g *gateway) serve(conn net.Conn) {
	defer conn.Close()
	line := bufio.NewScanner(conn)
	for line.Scan() {
		g.mu.Lock()
		g.pages = append(g.pages, line.Text())
		answer := g.answers[0]
		if len(g.answers) > 1 {
			g.answers = g.answers[1:]
		}
		g.mu.Unlock()
		if answer != "" { // "" = hang
			fmt.Fprintln(conn, answer)
		}
	}
}

// Close ends the server and all its connections.
func (g *gateway) Close() {
	g.Listener.Close()
	g.mu.Lock()
	for conn := range g.conns {
		conn.Close()
	}
	g.mu.Unlock()
	g.serving.Wait()
}
