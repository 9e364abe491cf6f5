package fake

import (
	"reflect"
	"slices"
	"sync"
)

// Answers are what a test wants to be answered. The zero value is ready for use: everything as usual, which is the zero
// Response. All methods are safe for concurrent use.
type Answers[Request, Response any] struct {
	mu     sync.Mutex
	script []scripted[Request, Response]
	handle func(Request) Response
}

type scripted[Request, Response any] struct {
	matches  func(Request) bool
	response Response
}

// Script appends responses to those for the next requests that match; matches nil = any.
func (a *Answers[Request, Response]) Script(matches func(Request) bool, responses ...Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range responses {
		a.script = append(a.script, scripted[Request, Response]{matches, r})
	}
}

// Handle sets what answers those requests for which the script has no response, or the usual one. nil = as usual.
func (a *Answers[Request, Response]) Handle(f func(Request) Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handle = f
}

// Take uses up the response that the script has for a request. Call the function that it returns for what to answer:
// with no lock held, because it may call the test's.
func (a *Answers[Request, Response]) Take(r Request) func() Response {
	a.mu.Lock()
	defer a.mu.Unlock()
	var response Response
	i := slices.IndexFunc(a.script, func(s scripted[Request, Response]) bool { return s.matches == nil || s.matches(r) })
	if i >= 0 {
		response = a.script[i].response
		a.script = slices.Delete(a.script, i, i+1)
	}
	handle := a.handle
	return func() Response {
		if handle != nil && IsUsual(response) {
			return handle(r)
		}
		return response
	}
}

// IsUsual reports whether a response is the zero value.
func IsUsual[Response any](r Response) bool { return reflect.ValueOf(&r).Elem().IsZero() }
