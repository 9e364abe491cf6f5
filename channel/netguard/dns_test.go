package netguard

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// answerFunc returns the addresses of a name; ok false is no response at all, and no addresses mean that there is no
// such name.
type answerFunc func(name string) (addrs []netip.Addr, ok bool)

// newResolver starts a DNS server on loopback and returns a resolver that asks it and nobody else. Names have no dot at
// the end.
func newResolver(t *testing.T, answer answerFunc) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := dnsReply(buffer[:n], answer); reply != nil {
				_, _ = socket.WriteTo(reply, from)
			}
		}
	})
	// The standard resolver goes on asking a silent server in the background; that has to end with the test.
	var (
		mu    sync.Mutex
		conns []net.Conn
		ended bool
	)
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		for _, c := range conns {
			closeQuietly(c)
		}
		closeQuietly(socket)
		done.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return nil, net.ErrClosed
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "udp4", socket.LocalAddr().String())
		if err == nil {
			conns = append(conns, conn)
		}
		return conn, err
	}}
}

func dnsReply(question []byte, answer answerFunc) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	addrs, ok := answer(strings.TrimSuffix(q.Name.String(), "."))
	if !ok {
		return nil
	}
	m.Header.Response, m.Header.Authoritative, m.Additionals = true, true, nil
	if len(addrs) == 0 {
		m.Header.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// fixedNames answers from a table; "" as an address gives no response.
func fixedNames(table map[string][]string) answerFunc {
	return func(name string) (addrs []netip.Addr, ok bool) {
		for _, text := range table[name] {
			if text == "" {
				return nil, false
			}
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		return addrs, true
	}
}
