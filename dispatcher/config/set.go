package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

// Set is what a document describes. [Apply] puts it in force. A host that gives Routes and Alerts to an Engine and a
// Monitor itself closes the Set when no Send of its channels is running any more, for example after SetRoutes of
// another one has returned.
type Set struct {
	Routes   []dispatcher.Route
	Alerts   map[dispatcher.RouteID]health.Alert // for the health.Monitor
	Document *Document
	// Broken are the channels and routes that cannot be made; nil without Options.Lenient.
	Broken []Broken

	channels []*sharedChannel  // of the document, in its order
	made     []madeRoute       // Routes as they were made
	replaced []replacedChannel // of Sets that this one took the place of, which were in use then
	closed   bool
	tenant   string
	env      Environment // of channels that name nothing, for a Set that replaces this one

	// Of the Options.
	samples      []event.Event
	types        []event.Type
	vocabularies map[string]event.Vocabulary
}

var _ io.Closer = (*Set)(nil)

// Close closes the channels that no other Set uses, the first time it is called, and what [Apply] left open. It may not
// be called concurrently.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.take() {
		errs = append(errs, c.release())
	}
	return errors.Join(errs...)
}

// String counts channels and routes, because a Set may hold secrets.
func (s *Set) String() string {
	return fmt.Sprintf("config.Set(%d channels, %d routes)", len(s.channels), len(s.Routes))
}

// GoString is String.
func (s *Set) GoString() string { return s.String() }

// sharedChannel is a channel of one Set, or of several that took each other's place. The last one that is closed
// closes it.
type sharedChannel struct {
	channel.Channel

	name     string
	users    atomic.Int32
	env      Environment        // that it was made with
	compiled []compiledTemplate // that it was made of
}

func newSharedChannel(c channel.Channel, name string, env Environment, compiled []compiledTemplate) *sharedChannel {
	s := &sharedChannel{Channel: c, name: name, env: env, compiled: slices.Clip(compiled)}
	s.users.Store(1)
	return s
}

// acquire adds a Set that uses the channel. It returns false when the channel is closed.
func (s *sharedChannel) acquire() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *sharedChannel) release() error {
	if s.users.Add(-1) > 0 {
		return nil
	}
	return closeChannel(s.Channel)
}

func closeChannel(c channel.Channel) error {
	if closer, ok := c.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// madeChannel is a channel and what a document says about it; zero = there is none.
type madeChannel struct {
	*sharedChannel
	source *value
}

// byName finds the channels of a Set, which may be nil, by their names.
func (s *Set) byName() map[string]madeChannel {
	if s == nil {
		return nil
	}
	all := make(map[string]madeChannel, len(s.channels))
	for i, v := range s.Document.list("channels") {
		all[v.text("name")] = madeChannel{s.channels[i], v}
	}
	return all
}

// isLike reports whether the channel is described as v is, with the same secrets, for the same surroundings.
func (m madeChannel) isLike(v *value, same func(a, b credential) bool, env Environment) bool {
	return m.sharedChannel != nil && sameValue(v, m.source, same) && sameEnvironment(env, m.env)
}

// identical compares secrets in an edited document: one that was given again counts as another one even if it is equal,
// or whoever may edit but not read could try out what it is by what changes.
func identical(a, b credential) bool { return a == b || a.reference != "" && sameCredential(a, b) }

// sameCredential compares secrets as they are written. The values of one reference are the same if they are read
// from the same source later on; one that was looked up already is compared by its text.
func sameCredential(a, b credential) bool {
	if a.value == b.value {
		return true
	}
	if a.reference != b.reference || a.value.Source() != b.value.Source() {
		return false
	}
	if a.value.Source() != secret.Literal("x").Source() {
		return true
	}
	first, err := a.value.Reveal(context.Background()) // which takes no time for a text
	if err != nil {
		return false
	}
	second, err := b.value.Reveal(context.Background())
	return err == nil && first == second
}

func sameEnvironment(a, b Environment) bool {
	return a.Guard == b.Guard && a.Logger == b.Logger && reflect.DeepEqual(a.Limits, b.Limits) && maps.Equal(a.Words, b.Words) &&
		reflect.DeepEqual(a.Proxy, b.Proxy) && a.ClientCertificate == b.ClientCertificate &&
		sameStore(a.References, b.References) && sameStore(a.Progress, b.Progress)
}

// sameStore compares stores, which may be of any type. Those that cannot be compared may be others.
func sameStore(a, b any) bool {
	if a == nil || b == nil {
		return a == b
	}
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
