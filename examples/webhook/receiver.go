package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// receiver is what the other side runs: it believes nothing before it has checked the signature.
type receiver struct {
	*httptest.Server
	verifier atomic.Pointer[signature.Verifier]
	visited  atomic.Pointer[string] // the path and query of the last request
	reason   atomic.Pointer[string] // why it was refused; "" = it was trusted
}

// newReceiver starts a receiver that trusts a secret.
func newReceiver(secret string) (*receiver, error) {
	r := new(receiver)
	if err := r.trust(secret); err != nil {
		return nil, err
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.visited.Store(&req.RequestURI)
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
		if err == nil {
			err = r.verifier.Load().Verify(req.Header, body)
		}
		reason := ""
		if err != nil {
			reason = err.Error()
			w.WriteHeader(http.StatusUnauthorized)
		}
		r.reason.Store(&reason)
	}))
	return r, nil
}

// trust makes it trust the given secrets from now on, and no others.
func (r *receiver) trust(secrets ...string) error {
	v, err := signature.NewVerifier(signature.Standard, secrets...)
	if err == nil {
		r.verifier.Store(v)
	}
	return err
}

// newMeddler starts somebody in between, who passes each request on to r with another name in its body.
func newMeddler(r *receiver) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		forged := strings.NewReader(strings.Replace(string(body), "Read only", "Administrator", 1))
		onward, err := http.NewRequestWithContext(req.Context(), req.Method, r.URL+req.RequestURI, forged)
		if err != nil {
			return
		}
		onward.Header = req.Header.Clone()
		resp, err := r.Client().Do(onward)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	}))
}
