package webhooktest

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/internal/cond"
	"github.com/tocsin-go/tocsin/channel/channeltest/internal/fake"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// Options say what a Server checks. The zero value is nothing.
type Options struct {
	// Verifier checks the signature of every request. One that it does not trust is answered 401, whatever the test
	// says. nil = signatures are not checked.
	Verifier *signature.Verifier
}

// Server is an HTTP server on 127.0.0.1 that keeps the requests it gets, of any method and path. Make it with Start or
// New. All methods are safe for concurrent use.
type Server struct {
	// URL is http://127.0.0.1 and the port; any path may follow.
	URL string

	options  Options
	loopback *fake.Loopback
	http     *httptest.Server
	answers  fake.Answers[Request, Response]

	state    cond.Cond // guards the following
	requests []Request
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
	s := &Server{options: o, loopback: loopback}
	s.http = &httptest.Server{Listener: loopback, Config: &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute}}
	s.http.Start()
	s.URL = s.http.URL
	return s, nil
}

// Close ends all requests and frees the port. What was received can still be read.
func (s *Server) Close() {
	_ = s.loopback.Close()
	s.http.CloseClientConnections()
	s.http.Close()
}

// Config is a complete configuration for a channel that sends to this Server, without TLS, with a guard that allows
// loopback.
func (s *Server) Config() webhook.Config {
	return webhook.Config{URL: s.URL, Guard: s.loopback.Guard, Limits: netguard.Limits{AllowInsecureHTTP: true}}
}

// Request is a request that came.
type Request struct {
	Method string
	URI    string // path and query, as they were sent
	Header http.Header
	Body   []byte
	// Untrusted is why the Verifier does not trust the request, a *signature.Error. nil = it does, or there is none.
	Untrusted error
}

// Response is what the Server answers. The zero value is as usual: 200 and an empty body.
type Response struct {
	Status     int           // from 200 on; 0 = 200, or 429 with RetryAfter
	RetryAfter time.Duration // the header Retry-After, rounded up to seconds; 0 = none
	Header     http.Header
	Body       string
	Hang       bool // never answer; the connection stays open until the client or the Server closes it
	Drop       bool // close the connection without an answer
}

// Script appends responses to those for the next requests. Each request uses up one; without responses left, requests
// are answered by Handle's function, or as usual, and so they are for the zero Response.
func (s *Server) Script(responses ...Response) { s.answers.Script(nil, responses...) }

// Handle sets a function that answers every request from now on, but for those that Script answers. It is called by
// several goroutines at a time if several requests come. nil = as usual.
func (s *Server) Handle(f func(Request) Response) { s.answers.Handle(f) }

// Requests returns what came so far, in the order of its arrival, answered or not.
func (s *Server) Requests() []Request {
	s.state.Lock()
	defer s.state.Unlock()
	return slices.Clone(s.requests)
}

// Wait returns nil once n requests came in all, answered or not. When ctx is done first, it returns an error that wraps
// ctx's and says how many there were.
func (s *Server) Wait(ctx context.Context, n int) error {
	have := 0
	err := s.state.Wait(ctx, func() bool {
		have = len(s.requests)
		return have >= n
	})
	if err != nil {
		return fmt.Errorf("received %d of %d requests: %w", have, n, err)
	}
	return nil
}

// maxBody is the largest body that is read.
const maxBody = 16 << 20

func (s *Server) serve(w http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, in.Body, maxBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	r := Request{Method: in.Method, URI: in.RequestURI, Header: in.Header, Body: body}
	if s.options.Verifier != nil {
		r.Untrusted = s.options.Verifier.Verify(r.Header, r.Body)
	}
	s.answer(w, in, s.decide(r))
}

// decide keeps a request and returns the response to it.
func (s *Server) decide(r Request) Response {
	s.state.Lock()
	s.requests = append(s.requests, r)
	s.state.Broadcast()
	answer := func() Response { return Response{Status: http.StatusUnauthorized} }
	if r.Untrusted == nil {
		answer = s.answers.Take(r)
	}
	s.state.Unlock()
	return answer()
}

func (s *Server) answer(w http.ResponseWriter, in *http.Request, r Response) {
	switch {
	case r.Hang:
		select {
		case <-in.Context().Done():
		case <-s.loopback.Context.Done():
		}
		r.Drop = true
	case r.RetryAfter != 0:
		w.Header().Set("Retry-After", fmt.Sprint(int(math.Ceil(r.RetryAfter.Seconds()))))
		if r.Status == 0 {
			r.Status = http.StatusTooManyRequests
		}
	}
	if r.Drop {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
		return
	}
	for name, values := range r.Header {
		w.Header()[name] = values
	}
	switch {
	case r.Status >= http.StatusOK && r.Status <= 999:
		w.WriteHeader(r.Status)
	case r.Status != 0:
		w.WriteHeader(http.StatusInternalServerError)
		r.Body = fmt.Sprintf("webhooktest: %d is no status of a response", r.Status)
	}
	_, _ = io.WriteString(w, r.Body)
}
