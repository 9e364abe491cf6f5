package smtptest

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-go/tocsin/channel/channeltest/internal/cond"
	"github.com/tocsin-go/tocsin/channel/channeltest/internal/fake"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Options say what a Server offers. The zero value offers STARTTLS and wants no log-in, so that clients with and
// without TLS can use it.
type Options struct {
	// Mode says when connections are encrypted: TLSNone never, TLSImplicit from the first byte, and the others after
	// STARTTLS, which a client need not ask for.
	Mode email.TLSMode
	// TLS is the server's side of TLS. nil = with a certificate for 127.0.0.1 that Authority vouches for.
	TLS *tls.Config
	// Auth are the mechanisms offered for a log-in, of PLAIN, LOGIN and XOAUTH2, separated by blanks. "" = none.
	Auth string
	// User and Password are what a log-in has to say; with XOAUTH2, Password is the token. With both Auth and Password,
	// no mail is taken before it. Password "" = whatever it says is good.
	User, Password string
	// Extensions are further lines of the answer to EHLO, such as "SIZE 1000000".
	Extensions []string
}

// Server is an SMTP server on 127.0.0.1 that keeps the mail it takes. Make it with Start or New. All methods are safe
// for concurrent use.
type Server struct {
	options   Options
	authority []byte
	loopback  *fake.Loopback
	running   sync.WaitGroup
	answers   fake.Answers[Command, Reply]

	state    cond.Cond // guards the following
	counts   map[Step]int
	commands []string
	mails    []Mail
}

// Start starts a Server that is closed when the test ends. The test ends at once if that is not possible.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	return fake.Start(t, func() (*Server, error) { return New(o) })
}

// New starts a Server for a program that is no test. Close it.
func New(o Options) (*Server, error) {
	loopback, err := fake.Listen()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, loopback: loopback, counts: make(map[Step]int)}
	if o.Mode != email.TLSNone && o.TLS == nil {
		s.options.TLS, s.authority = certificate()
	}
	s.running.Go(s.accept)
	return s, nil
}

// certificate returns a configuration with a certificate for 127.0.0.1, and the authority that vouches for it.
func certificate() (*tls.Config, []byte) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}, authority
}

func (s *Server) accept() {
	for {
		conn, err := s.loopback.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() {
			defer func() { _ = conn.Close() }()
			defer context.AfterFunc(s.loopback.Context, func() { _ = conn.Close() })()
			(&conversation{server: s, conn: conn}).run()
		})
	}
}

// Close ends all conversations and frees the port. What was received can still be read.
func (s *Server) Close() {
	_ = s.loopback.Close()
	s.running.Wait()
}

// Host is 127.0.0.1.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is where the Server listens.
func (s *Server) Port() int {
	address, _ := s.loopback.Addr().(*net.TCPAddr)
	return address.Port
}

// Authority is the certificate, in PEM, by which clients verify the Server; nil with TLSNone or a TLS of the test's
// own.
func (s *Server) Authority() []byte { return slices.Clone(s.authority) }

// Config is a complete configuration for a channel that mails through this Server, with its port, certificate and
// log-in, and a guard that allows loopback: from sender@example.com to recipient@example.com, until the test changes
// that.
func (s *Server) Config() email.Config {
	o := s.options
	c := email.Config{
		Relay: email.Relay{Host: s.Host(), Port: s.Port(), Ports: []int{s.Port()}, Mode: o.Mode},
		From:  "sender@example.com",
		To:    []string{"recipient@example.com"},
		Guard: s.loopback.Guard,
	}
	c.Relay.TLS.CAPEM = s.Authority()
	if o.Auth != "" && o.Password != "" {
		c.Relay.AllowPlaintextAuth = o.Mode == email.TLSNone
		c.Relay.Auth = email.Password(o.User, secret.Literal(o.Password))
		if strings.EqualFold(o.Auth, "XOAUTH2") {
			c.Relay.Auth = email.OAuth(o.User, secret.Literal(o.Password))
		}
	}
	return c
}

// Mails returns the mail taken so far, in the order of its arrival. What was refused is not in it.
func (s *Server) Mails() []Mail {
	s.state.Lock()
	mails := slices.Clone(s.mails)
	s.state.Unlock()
	for i := range mails {
		mails[i].parse()
	}
	return mails
}

// Wait returns nil once n mails were taken in all. When ctx is done first, it returns an error that wraps ctx's and
// says how many there were.
func (s *Server) Wait(ctx context.Context, n int) error {
	have := 0
	err := s.state.Wait(ctx, func() bool {
		have = len(s.mails)
		return have >= n
	})
	if err != nil {
		return fmt.Errorf("took %d of %d mails: %w", have, n, err)
	}
	return nil
}

// Count returns how often a step was reached.
func (s *Server) Count(step Step) int {
	s.state.Lock()
	defer s.state.Unlock()
	return s.counts[step]
}

// WaitFor returns nil once a step was reached n times in all, for what a test does while a client waits for the reply.
// When ctx is done first, it returns an error that wraps ctx's and says how often it was.
func (s *Server) WaitFor(ctx context.Context, step Step, n int) error {
	have := 0
	err := s.state.Wait(ctx, func() bool {
		have = s.counts[step]
		return have >= n
	})
	if err != nil {
		return fmt.Errorf("%s was reached %d of %d times: %w", step, have, n, err)
	}
	return nil
}

// Commands returns what clients said so far besides mails and log-in dialogues, in the order of its arrival: lines such
// as "RCPT TO:<jo@example.com>". An AUTH line holds the credential.
func (s *Server) Commands() []string {
	s.state.Lock()
	defer s.state.Unlock()
	return slices.Clone(s.commands)
}
