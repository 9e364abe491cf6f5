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

// Set is what a document describes. Give Routes to the dispatcher; close the Set when no Send of its channels is
// running any more, for example after SetRoutes has returned.
type Set struct {
	Routes   []dispatcher.Route
	Alerts   map[dispatcher.RouteID]health.Alert // for the health.Monitor
	Document *Document

	channels []*sharedChannel
	byName   map[string]*sharedChannel

	env Environment // of channels that name no network, for a Set that replaces this one

	// For Findings.
	file    string
	samples []event.Event
	types   []event.Type              // all that there are
	filters map[string][]event.Filter // by channel
}

var _ io.Closer = (*Set)(nil)

// Close closes the channels that no other Set uses, the first time it is called. It may not be called concurrently.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.channels {
		errs = append(errs, c.release())
	}
	s.channels = nil
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

	users  atomic.Int32
	source *value // the description it was made of
	env    Environment
}

func newSharedChannel(c channel.Channel, source *value, env Environment) *sharedChannel {
	s := &sharedChannel{Channel: c, source: source, env: env}
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

// unchanged returns the channel of the previous Set that is described as v is, for the same surroundings, and
// counts this Set among those that use it; nil = there is none.
func (l *loader) unchanged(v *value, env Environment) *sharedChannel {
	if l.options.Previous == nil {
		return nil
	}
	before := l.options.Previous.byName[v.text("name")]
	if before == nil || !sameChannel(v, before.source) || !sameEnvironment(env, before.env) || !before.acquire() {
		return nil
	}
	return before
}

// sameChannel compares what two documents say about a channel, their secrets included: what is in the documents,
// not what a reference leads to. Templates that were compiled stay with the description.
func sameChannel(v, before *value) bool {
	if v == nil || before == nil {
		return v == before
	}
	a, isSecret := v.data.(credential)
	b, wasSecret := before.data.(credential)
	if v.name() != before.name() || isSecret != wasSecret || isSecret && !sameCredential(a, b) || !isSecret && v.data != before.data {
		return false
	}
	v.compiled = before.compiled
	return slices.EqualFunc(v.items, before.items, sameChannel) && slices.EqualFunc(v.fields, before.fields, sameChannel)
}

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
		sameStore(a.References, b.References) && sameStore(a.Progress, b.Progress)
}

// sameStore compares stores, which may be of any type.
func sameStore(a, b any) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && (a == nil || reflect.TypeOf(a).Comparable() && a == b)
}
