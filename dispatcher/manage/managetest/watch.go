package managetest

import (
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func watchRule(p *probe) {
	d := p.store()
	old := p.put("old", "1", 0)
	w, other := p.watch(d), p.watch(d)
	const tenants, edits = 10, 12
	ctx, cancel := p.bounded()
	defer cancel()
	latest := make([]manage.Revision, tenants)
	p.together(tenants, func(i int) error {
		for n := range edits {
			r, err := d.Put(ctx, fmt.Sprint("t", i), manage.Record{Content: fmt.Append(nil, n)}, latest[i])
			if err != nil {
				return err
			}
			latest[i] = r
		}
		return nil
	})
	want := map[string]manage.Revision{"old": p.put("old", "2", old)}
	for i, r := range latest {
		want[fmt.Sprint("t", i)] = r
	}
	w.reach("the latest revisions", want)
	other.reach("the latest revisions to a second watcher", want)
	w.end()
	want["old"] = p.put("old", "3", want["old"])
	other.reach("a change after another watcher had ended", want)
	// One change alone, with nothing behind it that could push it along.
	<-time.After(50 * time.Millisecond)
	want["old"] = p.put("old", "4", want["old"])
	other.reach("a single change", want)
	other.end()
}

func watchDeleteRule(p *probe) {
	a := p.put("a", "1", 0)
	w := p.watch(p.store())
	gone := p.remove("a", a)
	w.reach("the deletion of an earlier document", map[string]manage.Revision{"a": gone})
	b := p.put("b", "1", 0)
	w.reach("a new document", map[string]manage.Revision{"b": b})
	gone = p.remove("b", b)
	w.reach("its deletion", map[string]manage.Revision{"b": gone})
	again := p.put("b", "2", 0)
	w.reach("the next document of that tenant", map[string]manage.Revision{"b": again})
	w.end()
}

func watchSlowRule(p *probe) {
	const tenants, edits = 40, 10
	slow, fast := p.watch(p.store()), p.watch(p.store())
	want := map[string]manage.Revision{}
	for n := range edits {
		for i := range tenants {
			tenant := fmt.Sprint("t", i)
			want[tenant] = p.put(tenant, fmt.Sprint(n), want[tenant])
		}
		if n == 0 {
			fast.reach("first documents, beside a watcher that does not read", want)
		}
	}
	fast.reach("the latest revisions, beside a watcher that does not read", want)
	slow.reach("the latest revisions, late", want)
	slow.end()
	fast.end()
	unread := p.watch(p.store())
	p.put("t0", "last", want["t0"])
	unread.end()
}

func watchCutRule(p *probe) {
	n := p.s.Network(p.t)
	p.made = n.Other
	w := p.watch(n.Documents)
	want := map[string]manage.Revision{"a": p.put("a", "1", 0)}
	w.reach("a change before the cut", want)
	// A short cut, and one that is longer than a connection is left alone.
	for round, pause := range []time.Duration{0, 300 * time.Millisecond} {
		n.Cut()
		want["a"] = p.put("a", "during", want["a"])
		tenant := fmt.Sprint("new", round)
		want[tenant] = p.put(tenant, "during", 0)
		<-time.After(pause)
		n.Heal()
		w.resync = false
		caughtUp := func() bool {
			for tenant, r := range want {
				if w.latest[tenant] < r {
					return false
				}
			}
			return true
		}
		w.until("what happened during a cut, nor Resync", func() bool { return w.resync || caughtUp() })
		want["b"] = p.put("b", fmt.Sprint("after cut ", round), want["b"])
		w.until("a change after a cut", func() bool { return w.latest["b"] >= want["b"] })
	}
	w.end()
}
