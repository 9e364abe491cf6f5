package managetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// defect is one way in which a store can be wrong.
type defect string

// naive is a correct store, which the suite must accept, and with a defect a wrong one, which it must reject.
type naive struct {
	manage.Documents // what calls go to
	memory           *manage.Memory
	defect           defect

	mu       sync.Mutex
	own      map[string][]byte // contents, of some defects
	before   map[string]manage.Record
	listed   map[string]manage.Revision
	base     map[string]manage.Revision
	offsets  map[string]int
	watchers []chan manage.Change
}

const naiveMax = 1 << 20

func (n *naive) is(d defect) bool { return n.defect == d }

func (n *naive) context(ctx context.Context) context.Context {
	if n.is("ignores ctx") {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// key is what a store makes of a tenant.
func (n *naive) key(tenant string) string {
	switch n.defect {
	case "tenants in small letters":
		return strings.ToLower(tenant)
	case "tenants without blanks around":
		if trimmed := strings.TrimSpace(tenant); trimmed != "" {
			return trimmed
		}
	case "cuts long tenants":
		return tenant[:min(len(tenant), 200)]
	case "tenants are text":
		return strings.ToValidUTF8(tenant, "?")
	case "dots and slashes meet":
		return strings.ReplaceAll(tenant, "/", ".")
	case "takes any length":
		if len(tenant) == 0 || len(tenant) > manage.MaxTenant {
			return "any"
		}
	}
	return tenant
}

func (n *naive) Get(ctx context.Context, tenant string) (manage.Record, error) {
	tenant = n.key(tenant)
	r, err := n.Documents.Get(n.context(ctx), tenant)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.defect {
	case "an unknown tenant is empty":
		if errors.Is(err, manage.ErrNotFound) {
			return manage.Record{}, nil
		}
	case "a deleted document is empty":
		if _, was := n.before[tenant]; was && errors.Is(err, manage.ErrNotFound) {
			return manage.Record{}, nil
		}
	case "Get is a moment late":
		if late, ok := n.before[tenant]; ok && err == nil && late.Content != nil {
			delete(n.before, tenant)
			return late, nil
		}
	case "hands out its own slice":
		if err == nil {
			r.Content = n.own[tenant]
		}
	case "keeps the caller's slice":
		if err == nil {
			r.Content = bytes.Clone(n.own[tenant])
		}
	}
	return r, err
}

func (n *naive) List(ctx context.Context, after string, limit int) ([]manage.Head, error) {
	all, err := n.Documents.List(n.context(ctx), after, limit)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.defect {
	case "List is a moment late":
		all = slices.DeleteFunc(all, func(h manage.Head) bool {
			seen := n.listed[h.Tenant] == h.Revision
			set(&n.listed, h.Tenant, h.Revision)
			return !seen
		})
	case "List begins at after":
		if r, err := n.memory.Get(ctx, after); err == nil {
			all = slices.Insert(all, 0, manage.Head{Tenant: after, Revision: r.Revision})
			all = all[:min(len(all), limit)]
		}
	case "List is not sorted":
		slices.Reverse(all)
	case "List forgets the last":
		all = all[:max(0, len(all)-1)]
	case "List gives what is above the limit":
		all, err = n.Documents.List(ctx, after, limit+1)
	case "List by offset":
		var whole []manage.Head
		if whole, err = n.Documents.List(ctx, "", 1000); n.offsets[after] > 0 {
			first := min(n.offsets[after], len(whole))
			all = whole[first:min(first+limit, len(whole))]
		}
		if len(all) == limit {
			set(&n.offsets, all[limit-1].Tenant, n.offsets[after]+limit)
		}
	}
	return all, err
}

// set writes to a map that may not be there yet.
func set[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

// force writes whatever the revision is; nil content = a removal.
func (n *naive) force(ctx context.Context, tenant string, content []byte) (manage.Revision, error) {
	for {
		current, err := n.Documents.Get(ctx, tenant)
		if err != nil && !errors.Is(err, manage.ErrNotFound) {
			return 0, err
		}
		var r manage.Revision
		if content == nil {
			r, err = n.Documents.Delete(ctx, tenant, current.Revision)
		} else {
			r, err = n.Documents.Put(ctx, tenant, manage.Record{Content: content}, current.Revision)
		}
		if _, conflict := errors.AsType[*manage.ConflictError](err); !conflict || current.Revision == 0 && content == nil {
			return r, err
		}
	}
}

func (n *naive) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	tenant = n.key(tenant)
	most := naiveMax
	if n.is("takes less than it says") {
		most--
	}
	switch {
	case n.is("cuts at the size"):
		r.Content = r.Content[:min(len(r.Content), most)]
	case len(r.Content) > most && !n.is("takes any size"):
		return 0, &manage.SizeError{Tenant: tenant, Size: len(r.Content), Max: most}
	}
	ctx = n.context(ctx)
	before, _ := n.memory.Get(ctx, tenant)
	revision, err := n.write(ctx, tenant, r, expect, before)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		set(&n.before, tenant, before)
		switch n.defect {
		case "keeps the caller's slice":
			set(&n.own, tenant, r.Content)
		case "hands out its own slice":
			set(&n.own, tenant, bytes.Clone(r.Content))
		case "revisions begin anew":
			if expect == 0 {
				set(&n.base, tenant, revision-1)
			}
			return revision - n.base[tenant], nil
		}
		for _, w := range n.watchers {
			select {
			case w <- manage.Change{Head: manage.Head{Tenant: tenant, Revision: revision}}:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	}
	return revision, n.errorOf(ctx, err, string(r.Content))
}

// write stores a document as the defect has it.
func (n *naive) write(
	ctx context.Context, tenant string, r manage.Record, expect manage.Revision, before manage.Record,
) (manage.Revision, error) {
	content := append([]byte{}, r.Content...)
	put := func(ctx context.Context) (manage.Revision, error) {
		return n.Documents.Put(ctx, tenant, manage.Record{Content: content}, expect)
	}
	switch n.defect {
	case "create overwrites":
		if expect == 0 {
			return n.force(ctx, tenant, content)
		}
	case "compares, then swaps":
		if before.Revision != expect {
			return put(ctx)
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
		return n.force(ctx, tenant, content)
	case "ignores the expected revision":
		return n.force(ctx, tenant, content)
	case "takes later revisions":
		if expect > before.Revision && before.Revision > 0 {
			return n.force(ctx, tenant, content)
		}
	case "writes before it compares":
		revision, err := put(ctx)
		if err != nil && ctx.Err() == nil {
			_, _ = n.force(ctx, tenant, content)
		}
		return revision, err
	case "the same content is no change":
		if before.Revision == expect && expect > 0 && bytes.Equal(before.Content, content) {
			return expect, nil
		}
	case "cuts content at NUL":
		content, _, _ = bytes.Cut(content, []byte{0})
	case "content is text":
		content = bytes.ToValidUTF8(content, []byte("?"))
	case "says unchanged when it is unknown":
		revision, err := put(ctx)
		if end, ok := ctx.Deadline(); ok && time.Until(end) < 10*time.Millisecond {
			<-ctx.Done()
			return 0, manage.Unchanged(ctx.Err())
		}
		return revision, err
	case "writes though ctx is done":
		if ctx.Err() != nil {
			_, _ = put(context.WithoutCancel(ctx))
		}
	}
	return put(ctx)
}

// errorOf is the error of a Put or Delete as the defect has it.
func (n *naive) errorOf(ctx context.Context, err error, content string) error {
	conflict, isConflict := errors.AsType[*manage.ConflictError](err)
	switch {
	case n.is("says nothing of unchanged") && err != nil && ctx.Err() != nil:
		return ctx.Err()
	case !isConflict:
	case n.is("conflicts say revision 0"):
		conflict.Current = 0
	case n.is("a conflict is some error"):
		return errors.New("conflict")
	case n.is("shows content in errors"):
		return fmt.Errorf("%w: %s was not stored", err, content)
	case n.is("wraps an error that shows content"):
		return wrapping{err, errors.New("not stored: " + content)}
	}
	return err
}

// wrapping is an error that shows nothing itself.
type wrapping struct {
	error
	inner error
}

func (w wrapping) Unwrap() []error { return []error{w.error, w.inner} }
func (w wrapping) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(w.Error()))
}

func (n *naive) Delete(ctx context.Context, tenant string, expect manage.Revision) (manage.Revision, error) {
	tenant = n.key(tenant)
	ctx = n.context(ctx)
	if n.is("Delete ignores the expected revision") {
		return n.force(ctx, tenant, nil)
	}
	if n.is("ignores the expected revision") {
		return n.force(ctx, tenant, nil)
	}
	r, err := n.Documents.Delete(ctx, tenant, expect)
	_, conflict := errors.AsType[*manage.ConflictError](err)
	switch {
	case n.is("deleting nothing succeeds") && conflict:
		return expect + 1, nil
	case n.is("revision of the removal is 0") && err == nil:
		return 0, nil
	}
	return r, n.errorOf(ctx, err, "")
}

// Close closes the store, as far as the defect lets it.
func (n *naive) Close() error {
	if n.is("answers after Close") {
		n.Documents = manage.NewMemory()
	}
	return n.memory.Close()
}
