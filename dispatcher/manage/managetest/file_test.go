package managetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// file is the plainest store that several processes share: all documents in one file, beside it a lock. It has no Watch
// of its own; one that asks for changes looks at the file again and again.
type file struct {
	path   string
	defect defect
	done   chan struct{}
}

func openFile(store string) (manage.Documents, func() error, error) {
	d, path, _ := strings.Cut(store, "\n")
	f := &file{path: path, defect: defect(d), done: make(chan struct{})}
	closeFile := func() error { close(f.done); return nil }
	if f.defect == "owned by one process" {
		owner, err := os.OpenFile(path+".owner", os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, nil, err
		}
		_ = owner.Close()
	}
	return f, closeFile, nil
}

type stored struct {
	Revision manage.Revision
	Content  []byte
	Deleted  bool
}

func (f *file) read() (map[string]stored, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]stored{}, nil
	}
	all := map[string]stored{}
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil && f.defect == "file written in place" {
		return map[string]stored{"t0": {Revision: 1, Content: []byte("half")}}, nil
	}
	return all, err
}

// lock takes the lock beside the file; the one of a process that was killed is taken over after a while.
func (f *file) lock() func() {
	if f.defect == "file without a lock" {
		return func() {}
	}
	for {
		l, err := os.OpenFile(f.path+".lock", os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_ = l.Close()
			return func() { _ = os.Remove(f.path + ".lock") }
		}
		if info, err := os.Stat(f.path + ".lock"); err == nil && time.Since(info.ModTime()) > 2*time.Second {
			_ = os.Remove(f.path + ".lock")
		}
		<-time.After(100 * time.Microsecond)
	}
}

func (f *file) change(tenant string, next stored, expect manage.Revision) (manage.Revision, error) {
	defer f.lock()()
	all, err := f.read()
	if err != nil {
		return 0, err
	}
	current := all[tenant]
	if current.Deleted {
		current.Revision = 0
	}
	if current.Revision != expect {
		return 0, &manage.ConflictError{Tenant: tenant, Expected: expect, Current: current.Revision}
	}
	if f.defect == "file without a lock" {
		<-time.After(time.Millisecond)
	}
	next.Revision = all[tenant].Revision + 1
	if f.defect == "file forgets what it acknowledged" && next.Revision > 1 {
		return expect, nil
	}
	all[tenant] = next
	b, err := json.Marshal(all)
	if err != nil {
		return 0, err
	}
	temporary := f.path + fmt.Sprint(os.Getpid(), "-", time.Now().UnixNano())
	if f.defect == "file written in place" {
		out, err := os.Create(f.path)
		if err != nil {
			return 0, err
		}
		defer func() { _ = out.Close() }()
		half := len(b) / 2
		_, err = out.Write(b[:half])
		<-time.After(10 * time.Millisecond) // nearly always it is half written
		if err == nil {
			_, err = out.Write(b[half:])
		}
		return next.Revision, err
	}
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return 0, err
	}
	return next.Revision, os.Rename(temporary, f.path)
}

func (f *file) Get(_ context.Context, tenant string) (manage.Record, error) {
	all, err := f.read()
	if err != nil {
		return manage.Record{}, err
	}
	s, ok := all[tenant]
	if !ok || s.Deleted {
		return manage.Record{}, manage.ErrNotFound
	}
	return manage.Record{Revision: s.Revision, Content: s.Content}, nil
}

func (f *file) List(_ context.Context, after string, limit int) ([]manage.Head, error) {
	all, err := f.read()
	heads := []manage.Head{}
	for tenant, s := range all {
		if tenant > after && !s.Deleted {
			heads = append(heads, manage.Head{Tenant: tenant, Revision: s.Revision})
		}
	}
	slices.SortFunc(heads, func(a, b manage.Head) int { return strings.Compare(a.Tenant, b.Tenant) })
	return heads[:min(limit, len(heads))], err
}

func (f *file) Put(_ context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	return f.change(tenant, stored{Content: r.Content}, expect)
}

func (f *file) Delete(_ context.Context, tenant string, expect manage.Revision) (manage.Revision, error) {
	return f.change(tenant, stored{Deleted: true}, expect)
}

func (f *file) Watch(ctx context.Context) (<-chan manage.Change, error) {
	out := make(chan manage.Change)
	go func() {
		defer close(out)
		told := map[string]manage.Revision{}
		for f.defect != "file watched by its own process only" {
			all, _ := f.read()
			for tenant, s := range all {
				if s.Revision == told[tenant] {
					continue
				}
				select {
				case out <- manage.Change{Head: manage.Head{Tenant: tenant, Revision: s.Revision}}:
					told[tenant] = s.Revision
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return
			case <-f.done:
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-f.done:
		}
	}()
	return out, nil
}
