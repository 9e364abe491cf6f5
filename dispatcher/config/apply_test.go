package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// probe is what the channels of one mark did, over all the Sets that made one.
type probe struct {
	made, closed atomic.Int32
	usedClosed   atomic.Bool
	entered      chan struct{} // gets one for each send that hangs
	leave        chan struct{} // ends a send that hangs

	mu   sync.Mutex
	took []event.Event
	news chan struct{} // gets one for each event
}

func newProbe() *probe {
	return &probe{entered: make(chan struct{}, 100), leave: make(chan struct{}), news: make(chan struct{}, 10_000)}
}

func (p *probe) events() []event.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]event.Event(nil), p.took...)
}

// probing is a channel that writes to a probe.
type probing struct {
	*probe
	hangs, fails bool
	gone         atomic.Bool
}

// Send implements channel.Channel.
func (c *probing) Send(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
	defer func() {
		if c.gone.Load() {
			c.usedClosed.Store(true)
		}
	}()
	switch {
	case c.hangs:
		c.entered <- struct{}{}
		<-c.leave
	case c.fails:
		return channel.Receipt{}, retry.Permanent(errors.New("refused"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, d.Event)
	c.news <- struct{}{}
	return channel.Receipt{}, nil
}

// Close implements io.Closer.
func (c *probing) Close() error {
	c.gone.Store(true)
	c.closed.Add(1)
	return nil
}

// probeTypes has a type probe, whose channels write to the probe of their mark.
func probeTypes(probes map[string]*probe) *config.Registry {
	return config.NewRegistry(map[string]config.Type{"probe": {
		Fields: []config.Field{
			{Name: "mark", Required: true, Destination: true, Doc: "The probe."},
			{Name: "hangs", Kind: config.Flag, Doc: "Whether sends hang."},
			{Name: "fails", Kind: config.Flag, Doc: "Whether sends fail."},
			{Name: "n", Kind: config.Number, Doc: "A number."},
			{Name: "key", Kind: config.Secret, Doc: "A secret."},
		},
		Make: func(s config.Settings, _ config.Environment) (channel.Channel, error) {
			p := probes[s.Text("mark")]
			p.made.Add(1)
			return &probing{probe: p, hangs: s.Flag("hangs", false), fails: s.Flag("fails", false)}, nil
		},
	}})
}

// running starts an Engine and a Monitor, which end with the test.
func running(t *testing.T) (*dispatcher.Engine, *health.Monitor) {
	t.Helper()
	monitor := health.New(health.Options{Logger: slog.New(slog.DiscardHandler)})
	engine, err := dispatcher.New(dispatcher.Config{Logger: slog.New(slog.DiscardHandler), Observers: []dispatcher.Observer{monitor.Observer()}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, engine.Run(context.Background())) })
	wg.Go(func() { _ = monitor.Run(ctx, engine) })
	t.Cleanup(func() {
		require.NoError(t, engine.Shutdown(context.Background()))
		stop()
		wg.Wait()
	})
	return engine, monitor
}

func dispatch(t *testing.T, e *dispatcher.Engine, tenant string) {
	t.Helper()
	require.NoError(t, e.Dispatch(t.Context(), event.Must(event.SessionStarted{}, event.Meta{Tenant: tenant, Subject: "of " + tenant})))
}

// Documents with the same names of channels and routes fit one Engine, with their alerts and fallbacks, and nothing of
// one shows at another.
func TestDocumentsOfManyTenantsCompose(t *testing.T) {
	t.Parallel()
	const document = `
channels:
  - {type: probe, name: audit, mark: %[1]s}
  - {type: probe, name: broken, mark: %[1]s-broken, fails: true}
  - {type: probe, name: contact, mark: %[1]s-contact}
  - {type: probe, name: rest, mark: %[1]s-rest}
routes:
  - {name: audit, channel: audit, events: [session.*]}
  - {name: broken, channel: broken, events: [session.*], fallback: rest, alerts: {after: at_once, resend: never, dead_letters: true, to: [contact]}}
  - {name: contact, channel: contact, events: [grant.*]}
  - {name: rest, channel: rest, events: [grant.*]}
`
	probes := map[string]*probe{}
	tenants := []string{"acme", "globex", "initech", ""}
	for _, tenant := range tenants {
		for _, mark := range []string{"", "-broken", "-contact", "-rest"} {
			probes["of"+tenant+mark] = newProbe()
		}
	}
	probes["platform"] = newProbe()
	types := probeTypes(probes)
	engine, monitor := running(t)
	apply := func(tenant, src string) {
		set, err := config.Load("a.yaml", []byte(src), config.Options{Types: types, Tenant: tenant})
		require.NoError(t, err)
		set, err = config.Apply(t.Context(), engine, monitor, nil, set)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, set.Close()) })
	}
	for _, tenant := range tenants {
		apply(tenant, fmt.Sprintf(document, "of"+tenant))
	}
	apply(dispatcher.AnyTenant, "channels: [{type: probe, name: audit, mark: platform}]\nroutes: [{name: audit, channel: audit, events: [session.*]}]")
	for _, tenant := range tenants {
		dispatch(t, engine, tenant)
	}
	for _, tenant := range tenants {
		for mark, want := range map[string]int{"": 1, "-rest": 1, "-contact": 2} {
			p := probes["of"+tenant+mark]
			for range want {
				<-p.news
			}
			for _, e := range p.events() {
				assert.Equal(t, tenant, e.Tenant(), mark)
			}
			require.Len(t, p.events(), want, "%q %s", tenant, mark)
			if mark == "-contact" {
				for _, e := range p.events() {
					assert.Equal(t, dispatcher.RouteID{Tenant: tenant, Name: "broken"}.String(), e.Subject())
				}
			}
		}
	}
	for range tenants {
		<-probes["platform"].news
	}
	assert.Len(t, probes["platform"].events(), len(tenants))
	all, err := engine.Status(t.Context(), dispatcher.StatusFilter{})
	require.NoError(t, err)
	assert.Len(t, all, 4*len(tenants)+1)
}

// What is in use is closed by a later change, and never while it is used; the rest at once.
func TestApplyClosesWhatNobodyUses(t *testing.T) {
	t.Parallel()
	probes := map[string]*probe{"hanging": newProbe(), "healthy": newProbe(), "unused": newProbe()}
	o := config.Options{Types: probeTypes(probes), Tenant: "acme"}
	engine, monitor := running(t)
	document := func(n int) string {
		return fmt.Sprintf(`
channels:
  - {type: probe, name: hanging, mark: hanging, hangs: true, n: %[1]d}
  - {type: probe, name: healthy, mark: healthy, n: %[1]d}
  - {type: probe, name: unused, mark: unused, n: %[1]d}
routes:
  - {name: hanging, channel: hanging}
  - {name: healthy, channel: healthy}
`, n)
	}
	var set *config.Set
	apply := func(ctx context.Context, n int) error {
		o.Previous = set
		next, err := config.Load("a.yaml", []byte(document(n)), o)
		require.NoError(t, err)
		set, err = config.Apply(ctx, engine, monitor, set, next)
		require.Same(t, next, set, "it is in force in any case")
		return err
	}
	closed := func() string {
		return fmt.Sprint(probes["hanging"].closed.Load(), probes["healthy"].closed.Load(), probes["unused"].closed.Load())
	}
	require.NoError(t, apply(t.Context(), 1))
	dispatch(t, engine, "acme")
	<-probes["hanging"].entered
	<-probes["healthy"].news
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for n := 2; n < 5; n++ {
		err := apply(impatient, n)
		inUse, ok := errors.AsType[*dispatcher.InUseError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, []dispatcher.RouteID{{Tenant: "acme", Name: "hanging"}}, inUse.Routes)
		assert.Equal(t, fmt.Sprint(0, n-1, n-1), closed())
	}
	close(probes["hanging"].leave)
	require.NoError(t, apply(t.Context(), 5))
	assert.Equal(t, "4 4 4", closed())

	// A tenant that goes leaves nothing open, either.
	dispatch(t, engine, "acme")
	<-probes["hanging"].entered
	<-probes["hanging"].news
	<-probes["healthy"].news
	set, err := config.Apply(t.Context(), engine, monitor, set, nil)
	require.NoError(t, err)
	assert.Nil(t, set)
	assert.Equal(t, "5 5 5", closed())
	for mark, p := range probes {
		assert.Equal(t, p.made.Load(), p.closed.Load(), mark)
		assert.False(t, p.usedClosed.Load(), mark)
	}
	set, err = config.Apply(t.Context(), engine, monitor, nil, nil)
	require.NoError(t, err)
	assert.Nil(t, set)
}

// What a tenant that goes still uses is closed later, or with the Set.
func TestApplyRemovesATenantWhoseReceiverHangs(t *testing.T) {
	t.Parallel()
	for _, closing := range []bool{true, false} {
		probes := map[string]*probe{"hanging": newProbe()}
		engine, monitor := running(t)
		set, err := config.Load("a.yaml", []byte("channels: [{type: probe, name: a, mark: hanging, hangs: true}]\nroutes: [{name: a, channel: a}]"), config.Options{Types: probeTypes(probes), Tenant: "acme"})
		require.NoError(t, err)
		set, err = config.Apply(t.Context(), engine, monitor, nil, set)
		require.NoError(t, err)
		dispatch(t, engine, "acme")
		<-probes["hanging"].entered
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		left, err := config.Apply(impatient, engine, monitor, set, nil)
		require.ErrorAs(t, err, new(*dispatcher.InUseError))
		require.NotNil(t, left)
		assert.NotContains(t, fmt.Sprintf("%v %+v", left, *left), "hanging")
		left, err = config.Apply(impatient, engine, monitor, left, nil)
		require.ErrorAs(t, err, new(*dispatcher.InUseError))
		require.NotNil(t, left)
		assert.Zero(t, probes["hanging"].closed.Load())
		close(probes["hanging"].leave)
		if closing {
			require.NoError(t, left.Close()) // a host does so after Shutdown
		} else {
			left, err = config.Apply(t.Context(), engine, monitor, left, nil)
			require.NoError(t, err)
			assert.Nil(t, left)
		}
		assert.EqualValues(t, 1, probes["hanging"].closed.Load())
	}
}

// What an Engine refuses leaves the previous Set in force and open, and the new one is closed.
func TestApplyOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	probes := map[string]*probe{"a": newProbe(), "b": newProbe()}
	o := config.Options{Types: probeTypes(probes), Tenant: "acme"}
	const document = "channels: [{type: probe, name: a, mark: %s}, {type: probe, name: same, mark: a, n: 7}]\nroutes: [{name: a, channel: a}, {name: same, channel: same}]"
	engine, err := dispatcher.New(dispatcher.Config{})
	require.NoError(t, err)
	first, err := config.Load("a.yaml", fmt.Appendf(nil, document, "a"), o)
	require.NoError(t, err)
	set, err := config.Apply(t.Context(), engine, nil, nil, first)
	require.NoError(t, err)
	o.Previous = set
	next, err := config.Load("a.yaml", fmt.Appendf(nil, document, "b"), o)
	require.NoError(t, err)
	require.NoError(t, engine.Shutdown(t.Context()))
	set, err = config.Apply(t.Context(), engine, nil, set, next)
	require.ErrorIs(t, err, dispatcher.ErrShutdown)
	assert.Same(t, first, set)
	assert.EqualValues(t, 1, probes["b"].closed.Load())
	assert.Zero(t, probes["a"].closed.Load(), "not even the channel that both have")
	set, err = config.Apply(t.Context(), engine, nil, set, set)
	require.ErrorIs(t, err, dispatcher.ErrShutdown)
	assert.Zero(t, probes["a"].closed.Load())
	require.NoError(t, set.Close())
	assert.EqualValues(t, 2, probes["a"].closed.Load())
}

// What a document says as before is not touched: not by the Engine either, which sees routes that are equal.
func TestAReloadTouchesWhatChanged(t *testing.T) {
	t.Parallel()
	var changes []dispatcher.RouteChange
	engine, err := dispatcher.New(dispatcher.Config{Logger: slog.New(slog.DiscardHandler), Observers: []dispatcher.Observer{
		{RoutesChanged: func(c dispatcher.RouteChange) { changes = append(changes, c) }},
	}})
	require.NoError(t, err)
	probes := map[string]*probe{"a": newProbe()}
	o := config.Options{Types: probeTypes(probes), Tenant: "acme", References: map[string]config.Reference{"env": config.Env},
		Vocabularies: map[string]event.Vocabulary{"desk": {event.TypeRequestPending: "ticket opened"}}}
	src := `
channels:
  - {type: probe, name: a, mark: a, key: env:TOCSIN_KEY}
  - {type: webhook, name: b, url: "https://b.example.com/x", body: {kind: template, template: '{"a": "{{id}}"}'}}
  - {type: slack, name: c, token: not-a-real-token, channel: C024BE91L}
  - {type: email, name: d, smtp_host: relay.example.com, from_address: a@example.com, to_addresses: [b@example.com]}
routes:
  - {name: a, channel: a, rules: [{events: [request.*], attributes: [external_key]}], alerts: {to: [d]}}
  - {name: b, channel: b, events: [request.*], retry: {count: 3, interval: 5s}, dedup: {window: 2h}, require_external_key: true}
  - {name: c, channel: c, retry: {duration: 4h}, fallback: d, rate: {events: 1}, backlog: {jobs: 5}}
  - {name: d, channel: d, order: strict, breaker: {off: true}}
`
	var set *config.Set
	reload := func(next *config.Set, err error) {
		t.Helper()
		require.NoError(t, err)
		changes = nil
		set, err = config.Apply(t.Context(), engine, nil, set, next)
		require.NoError(t, err)
		o.Previous = set
	}
	names := func() (set, replaced []string) {
		for _, c := range changes {
			for _, r := range c.Set {
				set = append(set, r.Name)
			}
			for _, id := range c.Replaced {
				replaced = append(replaced, id.Name)
			}
		}
		return set, replaced
	}
	reload(config.Load("a.yaml", []byte(src), o))
	require.Len(t, changes, 1)
	for name, text := range map[string]string{
		"a.yaml": "# moved\n\n" + src,
		"b.json": reveal(t, set.Document),
		"c.yaml": string(set.Document.YAML()),
	} {
		reload(config.Load(name, []byte(text), o))
		assert.Empty(t, changes, name)
	}
	reload(set.Document.Load(o))
	assert.Empty(t, changes)

	edit := func(d *config.Document, err error) {
		t.Helper()
		require.NoError(t, err)
		reload(d.Load(o))
	}
	edit(set.Document.SetRoute("b", []byte("channel: b\nevents: [grant.*, ticket opened]\nconcurrency: 2"), o))
	changed, replaced := names()
	assert.Equal(t, []string{"b"}, changed)
	assert.Empty(t, replaced)
	edit(set.Document.SetChannel("b", []byte("type: webhook\nurl: https://b.example.com/y"), o))
	changed, replaced = names()
	assert.Equal(t, []string{"b"}, changed)
	assert.Equal(t, []string{"b"}, replaced)
	edit(set.Document.SetState("c", dispatcher.Paused))
	changed, replaced = names()
	assert.Equal(t, []string{"c"}, changed)
	assert.Empty(t, replaced)
	edit(set.Document.SetRoute("a", []byte("channel: a"), o)) // whose alerts went to d
	changed, replaced = names()
	assert.ElementsMatch(t, []string{"a", "d"}, changed)
	assert.Empty(t, replaced)
	o.EventTypes = []event.Type{"ticket.closed"}
	reload(set.Document.Load(o))
	assert.Empty(t, changes, "the filters are made anew, and want the same")
	o.Vocabularies = map[string]event.Vocabulary{"desk": {event.TypeRequestDenied: "ticket opened"}}
	reload(set.Document.Load(o))
	changed, replaced = names()
	assert.Equal(t, []string{"b"}, changed)
	assert.Empty(t, replaced)
	reload(nil, nil)
	assert.Len(t, changes, 1)
	assert.Nil(t, set)
	assert.Equal(t, probes["a"].made.Load(), probes["a"].closed.Load())
}

// Tenants change their documents, part by part, while events are sent: nothing is lost or doubled, no channel is used
// after it was closed or closed twice, a secret stays where it was, and nobody's change makes another one's channel
// anew.
func TestTenantsEditTheirDocumentsWhileEventsAreSent(t *testing.T) {
	t.Parallel()
	const tenants, changes, events = 8, 60, 600
	probes := map[string]*probe{}
	for i := range tenants {
		probes[fmt.Sprintf("steady-%d", i)], probes[fmt.Sprintf("edited-%d", i)] = newProbe(), newProbe()
	}
	o := config.Options{Types: probeTypes(probes)}
	engine, monitor := running(t)
	var wg sync.WaitGroup
	for i := range tenants {
		wg.Go(func() {
			o := o
			o.Tenant = fmt.Sprintf("t%d", i)
			set, err := config.Load("a.yaml", fmt.Appendf(nil, `
channels:
  - {type: probe, name: steady, mark: steady-%[1]d, key: not-a-real-key-%[1]d}
  - {type: probe, name: edited, mark: edited-%[1]d, key: not-a-real-key-%[1]d}
routes:
  - {name: steady, channel: steady, backlog: {jobs: 10000}}
  - {name: edited, channel: edited, backlog: {jobs: 10000}}
`, i), o)
			if !assert.NoError(t, err) {
				return
			}
			set, err = config.Apply(t.Context(), engine, monitor, nil, set)
			assert.NoError(t, err)
			for n := range changes {
				for k := range events / changes {
					m := event.Meta{ID: fmt.Sprintf("%d-%d-%d", i, n, k), Tenant: o.Tenant}
					assert.NoError(t, engine.Dispatch(t.Context(), event.Must(event.SessionStarted{}, m)))
				}
				d := set.Document
				switch n % 3 {
				case 0:
					d, err = d.SetChannel("edited", fmt.Appendf(nil, `{"type": "probe", "mark": "edited-%d", "n": %d, "key": "[redacted]"}`, i, n), o)
				case 1:
					d, err = d.SetRoute("edited", fmt.Appendf(nil, `{"channel": "edited", "concurrency": %d, "backlog": {"jobs": 10000}}`, 1+n%5), o)
				default:
					d, err = d.SetChannel("other", fmt.Appendf(nil, `{"type": "probe", "mark": "edited-%d", "n": %d}`, i, n), o)
				}
				if !assert.NoError(t, err) {
					return
				}
				o.Previous = set
				next, err := d.Load(o)
				if !assert.NoError(t, err) {
					return
				}
				set, err = config.Apply(t.Context(), engine, monitor, set, next)
				assert.NoError(t, err)
			}
			revealed, err := set.Document.Reveal(t.Context())
			assert.NoError(t, err)
			for j := range tenants {
				want := 0
				if i == j {
					want = 2
				}
				assert.Equal(t, want, strings.Count(string(revealed), fmt.Sprintf("not-a-real-key-%d", j)))
			}
			for _, mark := range []string{"steady", "edited"} {
				for range events {
					<-probes[fmt.Sprintf("%s-%d", mark, i)].news
				}
			}
			set, err = config.Apply(t.Context(), engine, monitor, set, nil)
			assert.NoError(t, err)
			assert.Nil(t, set)
		})
	}
	wg.Wait()
	for mark, p := range probes {
		assert.False(t, p.usedClosed.Load(), mark)
		assert.Equal(t, p.made.Load(), p.closed.Load(), mark)
		taken := map[string]int{}
		for _, e := range p.events() {
			taken[e.ID()]++
			assert.Equal(t, mark[len("steady-"):], e.Tenant()[1:])
		}
		assert.Len(t, taken, events, mark)
		assert.Len(t, p.events(), events, mark)
	}
	for i := range tenants {
		assert.EqualValues(t, 1, probes[fmt.Sprintf("steady-%d", i)].made.Load(), "but for those that are edited")
	}
	require.Eventually(t, func() bool {
		all, err := engine.Status(t.Context(), dispatcher.StatusFilter{})
		return err == nil && len(all) == 0
	}, time.Minute, time.Millisecond)
}

// The Set of one tenant is neither the previous one of another's nor replaced by it: its channels and its secrets would
// pass to the other one.
func TestSetsOfTwoTenantsDoNotFollowEachOther(t *testing.T) {
	t.Parallel()
	probes := map[string]*probe{"a": newProbe(), "b": newProbe()}
	const document = "channels: [{type: probe, name: a, mark: %s, key: '%s'}]\nroutes: [{name: a, channel: a}]"
	types := probeTypes(probes)
	one, err := config.Load("a.yaml", fmt.Appendf(nil, document, "a", "not-a-real-key"), config.Options{Types: types, Tenant: "acme"})
	require.NoError(t, err)
	_, err = config.Load("a.yaml", fmt.Appendf(nil, document, "a", "[redacted]"), config.Options{Types: types, Tenant: "globex", Previous: one})
	require.EqualError(t, err, "a.yaml: the document is for another tenant than the Set before it; have the host give Options.Previous of the same tenant")
	engine, monitor := running(t)
	one, err = config.Apply(t.Context(), engine, monitor, nil, one)
	require.NoError(t, err)
	other, err := config.Load("a.yaml", fmt.Appendf(nil, document, "b", "x"), config.Options{Types: types, Tenant: "globex"})
	require.NoError(t, err)
	inForce, err := config.Apply(t.Context(), engine, monitor, one, other)
	require.EqualError(t, err, "the document is for another tenant than the Set that it is to replace; apply the Sets of each tenant by themselves")
	assert.Same(t, one, inForce)
	assert.EqualValues(t, 1, probes["b"].closed.Load())
	dispatch(t, engine, "acme")
	<-probes["a"].news
	_, err = config.Apply(t.Context(), engine, monitor, one, nil)
	require.NoError(t, err)
	assert.False(t, probes["a"].usedClosed.Load())
}
