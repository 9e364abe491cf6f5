package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
)

// receivers are the HTTP servers of five systems, distinguished by the path: /tickets, /chat, /siem, /mail and /alerts.
type receivers struct {
	*httptest.Server

	mu   sync.Mutex
	down map[string]bool
	got  []request
}

// request is what a system took.
type request struct {
	system, method, uri, body string
	header                    http.Header
}

func newReceivers() *receivers {
	r := &receivers{down: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("/{system}", r.take)
	mux.HandleFunc("/{system}/{rest...}", r.take)
	r.Server = httptest.NewServer(mux)
	return r
}

func (r *receivers) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil {
		return
	}
	system := req.PathValue("system")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down[system] {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch system {
	case "mail":
		w.WriteHeader(http.StatusAccepted) // as SendGrid does
	case "chat":
		_, _ = io.WriteString(w, "ok") // as Slack does
	}
	r.got = append(r.got, request{system: system, method: req.Method, uri: req.RequestURI, body: string(body), header: req.Header})
}

// set makes a system fail from now on, or work again.
func (r *receivers) set(system string, down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[system] = down
}

// took returns what a system took, in order of arrival.
func (r *receivers) took(system string) []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.got), func(q request) bool { return q.system != system })
}
