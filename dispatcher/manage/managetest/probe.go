package managetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// reporter is the part of testing.TB the rules use.
type reporter interface {
	Helper()
	Fatal(args ...any)
}

// probe asks a store questions on behalf of one rule.
type probe struct {
	tb   reporter
	t    *testing.T // for the hooks of Suite
	ctx  context.Context
	rule rule
	s    Suite
	made manage.Documents // nil = not yet
}

func newProbe(t *testing.T, tb reporter, r rule, s Suite) *probe {
	t.Helper()
	return &probe{tb: tb, t: t, ctx: t.Context(), rule: r, s: s}
}

// store is the store of the rule, made on first use.
func (p *probe) store() manage.Documents {
	p.tb.Helper()
	if p.made == nil {
		p.made = p.s.New(p.t)
	}
	return p.made
}

// fail ends the sub-test with what was seen and the rule.
func (p *probe) fail(format string, args ...any) {
	p.tb.Helper()
	p.tb.Fatal(fmt.Sprintf(format, args...) + "\nrule: " + p.rule.text)
}

func (p *probe) must(what string, err error) {
	p.tb.Helper()
	if err != nil {
		p.fail("%s: %v", what, err)
	}
}

// bounded is a context that ends when the suite has waited long enough.
func (p *probe) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, p.s.Timeout)
}

func (p *probe) put(tenant, content string, expect manage.Revision) manage.Revision {
	p.tb.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	r, err := p.store().Put(ctx, tenant, manage.Record{Content: []byte(content)}, expect)
	p.must(fmt.Sprintf("Put of tenant %q in the place of revision %d", tenant, expect), err)
	if r == 0 {
		p.fail("Put of tenant %q returned revision 0", tenant)
	}
	return r
}

func (p *probe) remove(tenant string, expect manage.Revision) manage.Revision {
	p.tb.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	r, err := p.store().Delete(ctx, tenant, expect)
	p.must(fmt.Sprintf("Delete of tenant %q with revision %d", tenant, expect), err)
	return r
}

func (p *probe) get(tenant string) manage.Record {
	p.tb.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	r, err := p.store().Get(ctx, tenant)
	p.must(fmt.Sprintf("Get of tenant %q", tenant), err)
	return r
}

// expect checks what is stored for a tenant.
func (p *probe) expect(tenant, content string, revision manage.Revision) {
	p.tb.Helper()
	r := p.get(tenant)
	if r.Revision != revision || !bytes.Equal(r.Content, []byte(content)) {
		p.fail("tenant %q has revision %d with %s, want revision %d with %s", tenant, r.Revision, short(r.Content), revision, short([]byte(content)))
	}
}

func (p *probe) expectNone(tenant string) {
	p.tb.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	if r, err := p.store().Get(ctx, tenant); !errors.Is(err, manage.ErrNotFound) {
		p.fail("Get of tenant %q, which has no document: revision %d, error %v", tenant, r.Revision, err)
	}
}

// conflict checks that err is a *ConflictError that says which revision is stored.
func (p *probe) conflict(what string, err error, tenant string, current manage.Revision) {
	p.tb.Helper()
	c, ok := errors.AsType[*manage.ConflictError](err)
	switch {
	case !ok:
		p.fail("%s: error %v, want a *ConflictError", what, err)
	case c.Tenant != tenant || c.Current != current:
		p.fail("%s: tenant %q has revision %d, it says; want tenant %q with revision %d", what, c.Tenant, c.Current, tenant, current)
	case !errors.Is(err, manage.ErrUnchanged):
		p.fail("%s: the error is not ErrUnchanged: %v", what, err)
	}
}

// walk lists everybody, in pages of limit.
func (p *probe) walk(limit int) []manage.Head {
	p.tb.Helper()
	return p.walkWith(limit, func() {})
}

// walkWith is walk that calls between after each page.
func (p *probe) walkWith(limit int, between func()) []manage.Head {
	p.tb.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	var all []manage.Head
	after := ""
	for {
		page, err := p.store().List(ctx, after, limit)
		p.must("List", err)
		if len(page) > limit {
			p.fail("List returned %d tenants, the limit is %d", len(page), limit)
		}
		all = append(all, page...)
		if len(page) < limit {
			return all
		}
		after = page[len(page)-1].Tenant
		between()
	}
}

// watcher reads a Watch.
type watcher struct {
	p       *probe
	changes <-chan manage.Change
	cancel  context.CancelFunc
	latest  map[string]manage.Revision
	resync  bool
}

func (p *probe) watch(d manage.Documents) *watcher {
	p.tb.Helper()
	ctx, cancel := context.WithCancel(p.ctx)
	changes, err := d.Watch(ctx)
	if err != nil {
		cancel()
		p.fail("Watch: %v", err)
	}
	return &watcher{p: p, changes: changes, cancel: cancel, latest: map[string]manage.Revision{}}
}

// until reads changes until done, and ends the sub-test with what it waited for if that takes too long.
func (w *watcher) until(what string, done func() bool) {
	w.p.tb.Helper()
	timer := time.NewTimer(w.p.s.Timeout)
	defer timer.Stop()
	for !done() {
		select {
		case c, ok := <-w.changes:
			switch {
			case !ok:
				w.p.fail("the channel of Watch was closed before it told %s", what)
			case c.Resync:
				w.resync = true
			case c.Revision < w.latest[c.Tenant]:
				w.p.fail("Watch told revision %d of tenant %q after %d", c.Revision, c.Tenant, w.latest[c.Tenant])
			default:
				w.latest[c.Tenant] = c.Revision
			}
		case <-timer.C:
			w.p.fail("Watch did not tell %s within %v; it told %v", what, w.p.s.Timeout, w.latest)
		}
	}
}

// reach reads changes until each tenant's revision was told.
func (w *watcher) reach(what string, want map[string]manage.Revision) {
	w.p.tb.Helper()
	w.until(what, func() bool {
		for tenant, r := range want {
			if w.latest[tenant] < r {
				return false
			}
		}
		return true
	})
	for tenant, r := range w.latest {
		if most, ok := want[tenant]; ok && r > most {
			w.p.fail("Watch told revision %d of tenant %q, which has %d", r, tenant, most)
		}
	}
}

// end ends the Watch and waits until its channel is closed.
func (w *watcher) end() {
	w.p.tb.Helper()
	w.cancel()
	w.drain("ctx was done")
}

// drain waits until the channel is closed.
func (w *watcher) drain(why string) {
	w.p.tb.Helper()
	timer := time.NewTimer(w.p.s.Timeout)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-w.changes:
			if !ok {
				return
			}
		case <-timer.C:
			w.p.fail("the channel of Watch was not closed within %v after %s", w.p.s.Timeout, why)
		}
	}
}

// together runs f n times at once and waits for all; f reports through its error.
func (p *probe) together(n int, f func(i int) error) {
	p.tb.Helper()
	errs := make([]error, n)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	wg.Wait()
	p.must("a concurrent call", errors.Join(errs...))
}

// short shows the beginning of a content.
func short(b []byte) string {
	const most = 40
	if len(b) <= most {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
}
