package managetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func unknownRule(p *probe) {
	p.expectNone("a")
	r := p.put("a", "1", 0)
	p.expectNone("b")
	p.remove("a", r)
	p.expectNone("a")
	_, err := p.store().Delete(p.ctx, "b", 0)
	p.conflict("Delete of a tenant without a document", err, "b", 0)
	_, err = p.store().Delete(p.ctx, "a", r)
	p.conflict("a second Delete", err, "a", 0)
	if all := p.walk(10); len(all) != 0 {
		p.fail("List returned %v, and nobody has a document", all)
	}
}

// creators is how many create a document at once.
const creators = 64

func createRule(p *probe) {
	d := p.store()
	ctx, cancel := p.bounded()
	defer cancel()
	for round := range 3 {
		tenant := fmt.Sprint("t", round)
		revisions, conflicts := make([]manage.Revision, creators), make([]error, creators)
		p.together(creators, func(i int) error {
			r, err := d.Put(ctx, tenant, manage.Record{Content: fmt.Append(nil, i)}, 0)
			if _, conflict := errors.AsType[*manage.ConflictError](err); err != nil && !conflict {
				return err
			}
			revisions[i], conflicts[i] = r, err
			return nil
		})
		winner := -1
		for i, err := range conflicts {
			if err == nil && winner >= 0 {
				p.fail("callers %d and %d both created the document of %q", winner, i, tenant)
			} else if err == nil {
				winner = i
			}
		}
		if winner < 0 {
			p.fail("of %d callers none created the document of %q", creators, tenant)
		}
		for i, err := range conflicts {
			if i != winner {
				p.conflict("Put beside the one that created", err, tenant, revisions[winner])
			}
		}
		p.expect(tenant, fmt.Sprint(winner), revisions[winner])
	}
}

func staleRule(p *probe) {
	d := p.store()
	put := func(expect manage.Revision) error {
		_, err := d.Put(p.ctx, "a", manage.Record{Content: []byte("stale")}, expect)
		return err
	}
	remove := func(expect manage.Revision) error {
		_, err := d.Delete(p.ctx, "a", expect)
		return err
	}
	p.conflict("Put in the place of a document that never was", put(7), "a", 0)
	p.expectNone("a")
	first := p.put("a", "1", 0)
	second := p.put("a", "2", first)
	for what, expect := range map[string]manage.Revision{"the revision before": first, "revision 0": 0, "a later revision": second + 100} {
		p.conflict("Put in the place of "+what, put(expect), "a", second)
		p.conflict("Delete of "+what, remove(expect), "a", second)
		p.expect("a", "2", second)
	}
	gone := p.remove("a", second)
	for what, expect := range map[string]manage.Revision{"the one deleted": second, "the removal": gone} {
		p.conflict("Put in the place of "+what, put(expect), "a", 0)
		p.conflict("Delete of "+what, remove(expect), "a", 0)
		p.expectNone("a")
	}
}

func revisionsRule(p *probe) {
	latest := manage.Revision(0)
	grows := func(what string, r manage.Revision) {
		p.tb.Helper()
		if r <= latest {
			p.fail("%s has revision %d, after %d", what, r, latest)
		}
		latest = r
	}
	for range 3 {
		grows("a created document", p.put("a", "same", 0))
		grows("a replaced document", p.put("a", "same", latest))
		grows("another replaced document", p.put("a", "other", latest))
		if all := p.walk(10); !contains(all, manage.Head{Tenant: "a", Revision: latest}) {
			p.fail("List returned %v, want tenant a with revision %d", all, latest)
		}
		p.expect("a", "other", latest)
		grows("the removal", p.remove("a", latest))
		p.put("b", "between", func() manage.Revision {
			if r, err := p.store().Get(p.ctx, "b"); err == nil {
				return r.Revision
			}
			return 0
		}())
	}
}

func ownWritesRule(p *probe) {
	d := p.store()
	ctx, cancel := p.bounded()
	defer cancel()
	p.together(8, func(i int) error {
		tenant := fmt.Sprint("t", i)
		latest := manage.Revision(0)
		for n := range 15 {
			content := fmt.Append(nil, n)
			r, err := d.Put(ctx, tenant, manage.Record{Content: content}, latest)
			if err != nil {
				return err
			}
			got, err := d.Get(ctx, tenant)
			if err != nil || got.Revision != r || !bytes.Equal(got.Content, content) {
				return fmt.Errorf("put %s as revision %d, got %s as revision %d, error %w", content, r, short(got.Content), got.Revision, err)
			}
			page, err := d.List(ctx, tenant[:1], 1000)
			if err != nil || !contains(page, manage.Head{Tenant: tenant, Revision: r}) {
				return fmt.Errorf("put revision %d of %s, and List returned %v, error %w", r, tenant, page, err)
			}
			latest = r
			if n%5 != 4 {
				continue
			}
			if _, err = d.Delete(ctx, tenant, r); err != nil {
				return err
			}
			if _, err = d.Get(ctx, tenant); !errors.Is(err, manage.ErrNotFound) {
				return fmt.Errorf("deleted %s, and Get says %w", tenant, err)
			}
			latest = 0
		}
		return nil
	})
}

func contains(page []manage.Head, h manage.Head) bool {
	for _, other := range page {
		if other == h {
			return true
		}
	}
	return false
}

func bytesRule(p *probe) {
	d := p.store()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	random := make([]byte, 64<<10)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(random)
	latest := manage.Revision(0)
	for _, content := range [][]byte{
		nil, {}, {0}, all, random, []byte("\x00\x00"), []byte("a\x00b"), []byte("\xff\xfe\xc3("), []byte("\r\n \t\n"),
		[]byte(`{"a":"\u0000"}`), []byte(`\x00 \\ '' "" $1 %s ;--`), []byte(strings.Repeat("é日\U0001F514", 1000)),
	} {
		given := bytes.Clone(content)
		r, err := d.Put(p.ctx, "a", manage.Record{Content: given, Revision: 99}, latest)
		p.must("Put", err)
		for i := range given {
			given[i]++
		}
		p.expect("a", string(content), r)
		got := p.get("a")
		for i := range got.Content {
			got.Content[i]++
		}
		p.expect("a", string(content), r)
		latest = r
	}
}

// oddTenants are texts that have met each other in names of files, keys, rows or subjects.
func oddTenants() []string {
	all := []string{
		"a", "A", "aa", "aA", "Aa", "á", "a\u0301", "ａ", "ß", "SS", "ss", "i", "İ", "ı", " ", "a ", " a", "\t", "\n", "\x00", "a\x00", "\x00a", "a\x00b",
		"/", "//", "a/b", "a/", "/a", "..", ".", "...", "../a", "a.b", ".a", "a.", "a..b", "*", ">", "a.*", "a.>", "$", "$KV.x", "%", "%2F", "%2f", "_",
		"-", "--", "=", "a=b", "~", "~a", "\\", "a\\b", "C:", "con", "CON", "nul", "aux.txt", "com1", "'", "''", "\"", "`", ";", "'; DROP TABLE x; --",
		"?", "#", "&", "|", "<", ":", "\x7f", "\xff", "\xff\xfe", "\xc3(", "\u202e", "日本", "\U0001F514", "\uFFFD", "0", "00", "1", "-1", "null", "true",
		strings.Repeat("a", 254), strings.Repeat("a", 255), strings.Repeat("a", 254) + "b", strings.Repeat("A", 255), strings.Repeat("/", 255),
		strings.Repeat("\xff", 255), strings.Repeat("a", 100) + "1", strings.Repeat("a", 100) + "2", strings.Repeat("\x00", 255),
	}
	for n := 120; n < 140; n++ { // around lengths at which names are made in another way
		all = append(all, strings.Repeat("x", n))
	}
	return all
}

func tenantsRule(p *probe) {
	d := p.store()
	all := oddTenants()
	revisions := map[string]manage.Revision{}
	for _, tenant := range all {
		p.expectNone(tenant)
		revisions[tenant] = p.put(tenant, "of "+tenant, 0)
	}
	for _, tenant := range all {
		p.expect(tenant, "of "+tenant, revisions[tenant])
	}
	listed := map[string]manage.Revision{}
	for _, h := range p.walk(7) {
		listed[h.Tenant] = h.Revision
	}
	for _, tenant := range all {
		if listed[tenant] != revisions[tenant] {
			p.fail("List gives revision %d of tenant %q, want %d", listed[tenant], tenant, revisions[tenant])
		}
	}
	if len(listed) != len(all) {
		p.fail("List gives %d tenants, want %d", len(listed), len(all))
	}
	for _, tenant := range all {
		p.remove(tenant, revisions[tenant])
		p.expectNone(tenant)
	}
	for _, tenant := range []string{"", strings.Repeat("a", 256), strings.Repeat("a", 10_000)} {
		_, get := d.Get(p.ctx, tenant)
		_, put := d.Put(p.ctx, tenant, manage.Record{}, 0)
		_, remove := d.Delete(p.ctx, tenant, 0)
		for what, err := range map[string]error{"Get": get, "Put": put, "Delete": remove} {
			if _, ok := errors.AsType[*manage.TenantError](err); !ok || !errors.Is(err, manage.ErrUnchanged) {
				p.fail("%s of a tenant of %d bytes: error %v, want a *TenantError that is ErrUnchanged", what, len(tenant), err)
			}
		}
	}
}

func sizeRule(p *probe) {
	d := p.store()
	ctx, cancel := p.bounded()
	defer cancel()
	most := bytes.Repeat([]byte("\x00m"), p.s.MaxSize/2+1)
	r, err := d.Put(ctx, "a", manage.Record{Content: most[:p.s.MaxSize]}, 0)
	p.must(fmt.Sprintf("Put of %d bytes, which the store takes", p.s.MaxSize), err)
	p.expect("a", string(most[:p.s.MaxSize]), r)
	for what, expect := range map[string]manage.Revision{"a": r, "b": 0} {
		_, err = d.Put(ctx, what, manage.Record{Content: most[:p.s.MaxSize+1]}, expect)
		e, ok := errors.AsType[*manage.SizeError](err)
		if !ok || !errors.Is(err, manage.ErrUnchanged) {
			p.fail("Put of %d bytes: error %v, want a *SizeError that is ErrUnchanged", p.s.MaxSize+1, err)
		}
		if e.Tenant != what || e.Size != p.s.MaxSize+1 || e.Max != p.s.MaxSize {
			p.fail("the *SizeError says %+v, want size %d and most %d of tenant %s", *e, p.s.MaxSize+1, p.s.MaxSize, what)
		}
	}
	p.expect("a", string(most[:p.s.MaxSize]), r)
	p.expectNone("b")
}

// raceRule lets editors count up a few documents.
func raceRule(p *probe) {
	const editors, edits, tenants = 8, 10, 3
	d := p.store()
	ctx, cancel := p.bounded()
	defer cancel()
	for i := range tenants {
		p.put(fmt.Sprint("t", i), "0", 0)
	}
	over := make(chan struct{})
	readers := make(chan error, 2)
	w := p.watch(d)
	go func() {
		for range w.changes {
		}
		readers <- nil
	}()
	go func() {
		for {
			select {
			case <-over:
				readers <- nil
				return
			default:
			}
			if page, err := d.List(ctx, "", 10); err != nil || len(page) != tenants {
				readers <- fmt.Errorf("List beside editors returned %d tenants, want %d, error %w", len(page), tenants, err)
				return
			}
		}
	}()
	var made atomic.Int64
	var read sync.WaitGroup // the first time, by all editors
	read.Add(editors)
	p.together(editors, func(i int) error {
		for n := range edits {
			haveRead := func() {}
			if n == 0 { // so that some write what another one replaces
				haveRead = func() { read.Done(); read.Wait() }
			}
			if err := countUp(ctx, d, fmt.Sprint("t", (i+n)%tenants), haveRead); err != nil {
				return err
			}
			made.Add(1)
		}
		return nil
	})
	close(over)
	w.cancel()
	p.must("a reader", errors.Join(<-readers, <-readers))
	sum := 0
	for i := range tenants {
		n := 0
		if _, err := fmt.Sscan(string(p.get(fmt.Sprint("t", i)).Content), &n); err != nil {
			p.fail("a counted document is no number: %v", err)
		}
		sum += n
	}
	if sum != editors*edits {
		p.fail("%d edits were made, and the documents count %d", made.Load(), sum)
	}
}

// countUp adds one to the number in a document, trying as often as it takes. It calls haveRead once, before it writes.
func countUp(ctx context.Context, d manage.Documents, tenant string, haveRead func()) error {
	for {
		r, err := d.Get(ctx, tenant)
		haveRead()
		haveRead = func() {}
		if err != nil {
			return err
		}
		n := 0
		if _, err := fmt.Sscan(string(r.Content), &n); err != nil {
			return err
		}
		_, err = d.Put(ctx, tenant, manage.Record{Content: fmt.Append(nil, n+1)}, r.Revision)
		if _, conflict := errors.AsType[*manage.ConflictError](err); !conflict {
			return err
		}
	}
}
