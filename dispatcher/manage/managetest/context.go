package managetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func contextRule(p *probe) {
	d := p.store()
	r := p.put("a", "1", 0)
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	_, get := d.Get(ctx, "a")
	_, list := d.List(ctx, "", 10)
	_, watch := d.Watch(ctx)
	_, put := d.Put(ctx, "a", manage.Record{Content: []byte("2")}, r)
	_, remove := d.Delete(ctx, "a", r)
	for what, err := range map[string]error{"Get": get, "List": list, "Watch": watch, "Put": put, "Delete": remove} {
		if !errors.Is(err, context.Canceled) {
			p.fail("%s with a ctx that is done: error %v, want ctx's", what, err)
		}
	}
	p.expect("a", "1", r)
	if !errors.Is(put, manage.ErrUnchanged) || !errors.Is(remove, manage.ErrUnchanged) {
		p.fail("Put or Delete with a ctx that was done before is not ErrUnchanged: %v, %v", put, remove)
	}
	o := &outcomes{p: p, d: d, possible: []string{"1"}}
	source := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // moments
	for n := range 60 {
		o.put(fmt.Sprint("n", n), time.Duration(source.Int64N(int64(2*time.Millisecond))))
	}
	if p.s.Network != nil {
		cut := p.s.Network(p.t)
		p.made = cut.Other
		p.put("a", "1", 0)
		o = &outcomes{p: p, d: cut.Documents, possible: []string{"1"}}
		cut.Cut()
		o.put("during a cut", 200*time.Millisecond)
		cut.Heal()
		o.put("after it", p.s.Timeout)
	}
}

// outcomes compares what Put says with what is stored then.
type outcomes struct {
	p        *probe
	d        manage.Documents // those of the store of p
	possible []string         // what may be stored for tenant a, now or once calls that are under way end
}

// put replaces the document of tenant a, in so little time that the call may fail.
func (o *outcomes) put(content string, timeout time.Duration) {
	o.p.tb.Helper()
	before := o.p.get("a")
	ctx, cancel := context.WithTimeout(o.p.ctx, timeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := o.d.Put(ctx, "a", manage.Record{Content: []byte(content)}, before.Revision)
		ended <- err
	}()
	var err error
	select {
	case err = <-ended:
	case <-time.After(timeout + o.p.s.Timeout):
		o.p.fail("Put did not return within %v after its deadline", o.p.s.Timeout)
	}
	_, conflict := errors.AsType[*manage.ConflictError](err)
	switch {
	case err == nil:
		o.possible = []string{content}
	case conflict && len(o.possible) > 1: // with a call before, which was under way
	case !errors.Is(err, context.DeadlineExceeded):
		o.p.fail("Put whose deadline is over: error %v, want ctx's", err)
	case !errors.Is(err, manage.ErrUnchanged):
		o.possible = append(o.possible, content)
	}
	if got := string(o.p.get("a").Content); !slices.Contains(o.possible, got) {
		o.p.fail("after Put of %q, which said %v, %q is stored; possible were %q", content, err, got, o.possible)
	}
}

// marker is in all content of errorsRule.
const marker = "content-marker-d41f8c"

func errorsRule(p *probe) {
	d := p.store()
	content := manage.Record{Content: []byte(marker + strings.Repeat(" "+marker, 10))}
	var seen []error
	note := func(_ any, err error) {
		p.tb.Helper()
		if err == nil {
			p.fail("a call that has to fail does not")
		}
		seen = append(seen, err)
	}
	r, err := d.Put(p.ctx, "a", content, 0)
	p.must("Put", err)
	done, cancel := context.WithCancel(p.ctx)
	cancel()
	note(d.Put(p.ctx, "a", content, r+7))
	note(d.Put(p.ctx, "b", content, r+7))
	note(d.Delete(p.ctx, "a", r+7))
	note(d.Put(p.ctx, "", content, 0))
	note(d.Put(p.ctx, strings.Repeat("x", 300), content, 0))
	note(d.Put(p.ctx, "big", manage.Record{Content: []byte(strings.Repeat(marker+" ", p.s.MaxSize/len(marker)))}, 0))
	note(d.Put(done, "a", content, r))
	note(d.Get(done, "a"))
	note(d.Get(p.ctx, "nobody"))
	note(d.List(done, "", 1))
	note(d.Watch(done))
	if p.s.Network != nil {
		n := p.s.Network(p.t)
		n.Cut()
		ctx, cancel := context.WithTimeout(p.ctx, 200*time.Millisecond)
		defer cancel()
		note(n.Documents.Put(ctx, "a", content, 0))
		note(n.Documents.Get(ctx, "a"))
		n.Heal()
	}
	if p.s.Close != nil {
		p.must("Close", p.s.Close(d))
		note(d.Put(p.ctx, "a", content, r))
		note(d.Get(p.ctx, "a"))
	}
	for _, err := range seen {
		p.look(err)
	}
}

// look searches an error, and what it wraps, for what it must not contain.
func (p *probe) look(err error) {
	p.tb.Helper()
	for _, secret := range append([]string{marker}, p.s.Secrets...) {
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			if strings.Contains(text, secret) {
				p.fail("an error of type %T contains %q: %s", err, secret, text)
			}
		}
	}
	switch e := err.(type) { //nolint:errorlint // looks at each error of the tree by itself
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			p.look(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			p.look(inner)
		}
	}
}

// labels tells the goroutines of one closeRule from those of others.
//
//nolint:gochecknoglobals // unique in the process, which is what labels of goroutines belong to
var labels atomic.Int64

func closeRule(p *probe) {
	d := p.store()
	label := fmt.Sprint("close-", labels.Add(1))
	var watches []*watcher
	pprof.Do(p.ctx, pprof.Labels("managetest", label), func(context.Context) {
		r := p.put("a", "1", 0)
		for range 3 {
			watches = append(watches, p.watch(d))
		}
		want := map[string]manage.Revision{"a": p.put("a", "2", r)}
		watches[0].reach("a change", want)
		p.walk(10)
		p.must("Close", p.s.Close(d))
	})
	for _, w := range watches {
		w.drain("Close")
	}
	_, get := d.Get(p.ctx, "a")
	_, list := d.List(p.ctx, "", 10)
	_, watch := d.Watch(p.ctx)
	_, put := d.Put(p.ctx, "b", manage.Record{}, 0)
	_, remove := d.Delete(p.ctx, "a", 2)
	for what, err := range map[string]error{"Get": get, "List": list, "Watch": watch, "Put": put, "Delete": remove} {
		if !errors.Is(err, manage.ErrClosed) {
			p.fail("%s after Close: error %v, want ErrClosed", what, err)
		}
	}
	deadline := time.After(p.s.Timeout)
	for {
		left := goroutines(label)
		if left == "" {
			break
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			p.fail("%v after Close goroutines are left:\n%s", p.s.Timeout, left)
		}
	}
	for _, w := range watches {
		w.cancel()
	}
}

// goroutines shows those that calls with a label have started, "" = none.
func goroutines(label string) string {
	var all strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	for group := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(group, label+`"`) {
			return group
		}
	}
	return ""
}
