package email_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := email.NewMemory(email.MemoryOptions{Max: 2, TTL: time.Hour})
		put := func(n int) {
			require.NoError(t, m.Put(t.Context(), email.Key{Delivery: strconv.Itoa(n)}, []byte{byte(n)}))
		}
		has := func(n int) bool {
			state, found, err := m.Get(t.Context(), email.Key{Delivery: strconv.Itoa(n)})
			require.NoError(t, err)
			if found {
				require.Equal(t, []byte{byte(n)}, state)
				state[0]++ // a copy
			}
			return found
		}
		for _, n := range []int{0, 1, 0, 2} {
			put(n)
		}
		assert.Equal(t, []bool{true, false, true}, []bool{has(0), has(1), has(2)}, "the one without an attempt for longest went")
		assert.Equal(t, []bool{true, false, true}, []bool{has(0), has(1), has(2)})
		<-time.After(time.Hour)
		assert.Equal(t, []bool{false, false, false}, []bool{has(0), has(1), has(2)})
	})
}

// table is Progress as a table that workers share.
type table struct {
	mu     sync.Mutex
	rows   map[email.Key]string
	broken error
}

func (p *table) Get(_ context.Context, k email.Key) ([]byte, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	row, found := p.rows[k]
	return []byte(row), found, p.broken
}

func (p *table) Put(ctx context.Context, k email.Key, state []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return p.broken
	}
	if p.rows == nil {
		p.rows = map[email.Key]string{}
	}
	p.rows[k] = string(state)
	return ctx.Err()
}

// Attempts of one delivery may be made by any worker, and by a process after another: nobody gets a mail twice for it.
func TestWorkersThatShareProgress(t *testing.T) {
	t.Parallel()
	r := start(t, plain, verdicts(map[string][]smtptest.Reply{
		"b@example.com": {"450 4.2.0 greylisted", "450 4.2.0 greylisted"},
		"c@example.com": {"550 5.1.1 no such user"},
	}))
	shared := &table{}
	worker := func() *email.Channel {
		c := config(t, r)
		c.To, c.Progress = []string{"a@example.com", "b@example.com", "c@example.com"}, shared
		return open(t, c)
	}
	d := pending(t, nil, event.Meta{Tenant: "acme"})
	for d.Attempt = 1; d.Attempt <= 3; d.Attempt++ {
		_, err := worker().Send(t.Context(), d)
		require.Error(t, err)
	}
	var got []string
	for _, m := range r.Mails() {
		got = append(got, m.To...)
	}
	assert.Equal(t, []string{"a@example.com", "b@example.com"}, got)
	require.Len(t, shared.rows, 1)
	for k, state := range shared.rows {
		assert.Equal(t, email.Key{Tenant: "acme", Route: "mail", Delivery: d.ID()}, k)
		assert.NotContains(t, state, "example.com", "no address is stored")
		assert.Less(t, len(state), 4<<10)
	}
	d.Generation, d.Attempt = 7, 1
	_, err := worker().Send(t.Context(), d)
	require.NoError(t, err)
	mails := r.Mails()
	assert.Equal(t, []string{"c@example.com"}, mails[len(mails)-1].To, "on purpose, to the one who has not got it")
}

// What all get at once needs no stored state, and a state that is lost costs a second mail, not the first.
func TestProgressThatFails(t *testing.T) {
	t.Parallel()
	r := start(t, plain, verdicts(map[string][]smtptest.Reply{"b@example.com": {"450 4.2.0 greylisted"}}))
	logger, lines := recorded()
	c := config(t, r)
	store := &table{}
	c.Progress, c.Logger = store, logger
	ch := open(t, c)
	send := func(d channel.Delivery) error { _, err := ch.Send(t.Context(), d); return err }
	require.NoError(t, send(sample(event.TypeRequestPending)))
	assert.Empty(t, store.rows)

	c.To = append(c.To, "b@example.com")
	ch = open(t, c)
	store.broken = errors.New("down")
	require.Error(t, send(sample(event.TypeRequestPending)))
	assert.Contains(t, lines.String(), "cannot read the progress of a mail")
	assert.Contains(t, lines.String(), "cannot store the progress of a mail")
	require.NoError(t, send(sample(event.TypeRequestPending)), "to both")

	store.broken, store.rows = nil, map[email.Key]string{}
	d := sample(event.TypeRequestPending)
	for _, damaged := range []string{"", "null", "{}", "[]", `{"v":2}`, `{"v":1,"r":{"x":{"s":-1}}}`, strings.Repeat("x", 100)} {
		store.rows[email.Key{Route: d.Route.String(), Delivery: d.ID()}] = damaged
		require.NoError(t, send(d), damaged)
	}
	assert.Equal(t, 7, strings.Count(lines.String(), "the stored state of a mail is damaged"))
}

// A context that ends with the relay's answer does not lose the state.
func TestProgressIsStoredAfterTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := start(t, plain, verdicts(map[string][]smtptest.Reply{"b@example.com": {"450 4.2.0 greylisted"}}))
	c := config(t, r)
	c.To = []string{"a@example.com", "b@example.com"}
	store := &table{}
	c.Progress = ending{store, cancel}
	_, err := open(t, c).Send(ctx, sample(event.TypeRequestPending))
	require.Error(t, err)
	assert.Len(t, store.rows, 1)
}

// ending is a table whose reader's context ends before it is written to.
type ending struct {
	*table
	cancel func()
}

func (p ending) Put(ctx context.Context, k email.Key, state []byte) error {
	p.cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.table.Put(ctx, k, state)
}
