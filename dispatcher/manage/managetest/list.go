package managetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func listRule(p *probe) {
	d := p.store()
	if all := p.walk(5); len(all) != 0 {
		p.fail("List of an empty store returned %v", all)
	}
	// Those who stay; besides them, others come and go in between.
	var stay []string
	for i := range 60 {
		stay = append(stay, fmt.Sprintf("%c%d", []rune("aAzZ/.é\x00日")[i%9], i))
	}
	stay = append(stay, strings.Repeat("m", 200), strings.Repeat("m", 255), "\xff", strings.Repeat("m", 254)+"n")
	revisions := map[string]manage.Revision{}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(stay)) { //nolint:gosec // an order
		revisions[stay[i]] = p.put(stay[i], "1", 0)
	}
	slices.Sort(stay)
	for _, limit := range []int{1, 7, len(stay), 1000} {
		p.same(fmt.Sprintf("pages of %d", limit), p.walk(limit), stay, revisions)
	}
	for _, after := range []string{stay[0], stay[10], stay[10] + "\x00", "nobody", stay[len(stay)-1], "\xff\xff"} {
		page, err := d.List(p.ctx, after, 1000)
		p.must("List", err)
		first, found := slices.BinarySearch(stay, after)
		if found {
			first++
		}
		p.same(fmt.Sprintf("List after %q", after), page, stay[first:], revisions)
	}

	over, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- comeAndGo(p, d, over) }()
	var walks [][]manage.Head
	toggled := manage.Revision(0)
	toggle := func() { // what is behind it in the walk moves by one place
		if toggled == 0 {
			toggled = p.put("moving", "", 0)
			return
		}
		p.remove("moving", toggled)
		toggled = 0
	}
	for range 5 {
		walks = append(walks, p.walkWith(9, toggle))
	}
	close(over)
	p.must("a caller beside List", <-ended)
	for _, all := range walks {
		if !slices.IsSortedFunc(all, func(a, b manage.Head) int { return strings.Compare(a.Tenant, b.Tenant) }) {
			p.fail("a walk beside changes is not sorted: %v", all)
		}
		all = slices.DeleteFunc(all, func(h manage.Head) bool { return strings.HasPrefix(h.Tenant, "moving") })
		p.same("a walk beside changes", all, stay, revisions)
	}
}

// comeAndGo creates and deletes documents until over.
func comeAndGo(p *probe, d manage.Documents, over <-chan struct{}) error {
	ctx, cancel := p.bounded()
	defer cancel()
	for n := 0; ; n++ {
		select {
		case <-over:
			return nil
		default:
		}
		tenant := fmt.Sprint("moving", n%5)
		r, err := d.Put(ctx, tenant, manage.Record{}, 0)
		if err == nil {
			_, err = d.Delete(ctx, tenant, r)
		}
		if err != nil {
			return err
		}
	}
}

// same compares what List returned.
func (p *probe) same(what string, got []manage.Head, tenants []string, revisions map[string]manage.Revision) {
	p.tb.Helper()
	names := make([]string, len(got))
	for i, h := range got {
		names[i] = h.Tenant
	}
	if !slices.Equal(names, tenants) {
		p.fail("%s: got %d tenants %q\nwant %d %q", what, len(names), names, len(tenants), tenants)
	}
	for _, h := range got {
		if h.Revision != revisions[h.Tenant] {
			p.fail("%s: tenant %q has revision %d, want %d", what, h.Tenant, h.Revision, revisions[h.Tenant])
		}
	}
}
