package history

import (
	"container/heap"
	"sort"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// node is an entry in a book. A removed one has its Seq only.
type node struct {
	Entry

	size    int64
	removed bool
}

// list is nodes in the order of their Seqs. Removed ones stay until they are the larger part, so that removing costs
// the same wherever it is.
type list struct {
	nodes   []*node
	first   int // the first that is not removed
	removed int
}

func (l *list) len() int { return len(l.nodes) - l.removed }

func (l *list) add(n *node) { l.nodes = append(l.nodes, n) }

// oldest returns the first; there has to be one.
func (l *list) oldest() *node { return l.nodes[l.first] }

// dropped notes that one of the nodes was removed.
func (l *list) dropped() {
	l.removed++
	if l.removed > len(l.nodes)/2 {
		left := make([]*node, 0, l.len()+l.len()/2)
		for n := range l.each {
			left = append(left, n)
		}
		*l = list{nodes: left}
	}
	for l.first < len(l.nodes) && l.nodes[l.first].removed {
		l.first++
	}
}

// each yields the nodes, which may be removed meanwhile, the oldest first.
func (l *list) each(yield func(*node) bool) {
	for _, n := range l.nodes[l.first:] {
		if !n.removed && !yield(n) {
			return
		}
	}
}

// before yields the nodes with lower Seqs, the newest first; 0 = all.
func (l *list) before(seq int64, yield func(*node) bool) {
	end := len(l.nodes)
	if seq > 0 {
		end = sort.Search(len(l.nodes), func(i int) bool { return l.nodes[i].Seq >= seq })
	}
	for i := end - 1; i >= l.first; i-- {
		if n := l.nodes[i]; !n.removed && !yield(n) {
			return
		}
	}
}

// account is what a tenant has in a book.
type account struct {
	list

	bytes int64
	at    int // in the heap
}

// accounts is a heap: the one with the most entries comes first.
type accounts []*account

func (a accounts) Len() int           { return len(a) }
func (a accounts) Less(i, j int) bool { return a[i].len() > a[j].len() }
func (a accounts) Swap(i, j int)      { a[i], a[j] = a[j], a[i]; a[i].at, a[j].at = i, j }

// Push implements heap.Interface.
func (a *accounts) Push(x any) {
	t, _ := x.(*account)
	t.at = len(*a)
	*a = append(*a, t)
}

// Pop implements heap.Interface.
func (a *accounts) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = nil
	*a = (*a)[:len(*a)-1]
	return last
}

// book is entries in their order, in all, by tenant and by route. What it holds of a tenant or a route goes with the
// last entry.
type book struct {
	seq     int64
	all     list
	routes  map[dispatcher.RouteID]*list
	tenants map[string]*account
	heap    accounts
}

func newBook() *book {
	return &book{routes: map[dispatcher.RouteID]*list{}, tenants: map[string]*account{}}
}

// add gives e the next Seq.
func (b *book) add(e Entry) {
	b.seq++
	e.Seq = b.seq
	n := &node{Entry: e, size: e.Size()}
	b.all.add(n)
	route := b.routes[e.Route]
	if route == nil {
		route = new(list)
		b.routes[e.Route] = route
	}
	route.add(n)
	t := b.tenants[e.Route.Tenant]
	if t == nil {
		t = new(account)
		b.tenants[e.Route.Tenant] = t
		heap.Push(&b.heap, t)
	}
	t.add(n)
	t.bytes += n.size
	heap.Fix(&b.heap, t.at)
}

// remove removes a node and returns its entry.
func (b *book) remove(n *node) Entry {
	e := n.Entry
	n.Entry, n.removed = Entry{Seq: e.Seq}, true
	b.all.dropped()
	route, t := b.routes[e.Route], b.tenants[e.Route.Tenant]
	if route.dropped(); route.len() == 0 {
		delete(b.routes, e.Route)
	}
	t.bytes -= n.size
	if t.dropped(); t.len() == 0 {
		heap.Remove(&b.heap, t.at)
		delete(b.tenants, e.Route.Tenant)
	} else {
		heap.Fix(&b.heap, t.at)
	}
	return e
}

// limit removes until there are at most so many entries: those of the tenant with the most, the oldest first. It
// reports how many it removed.
func (b *book) limit(entries int) (n int) {
	for ; b.all.len() > entries; n++ {
		b.remove(b.heap[0].oldest())
	}
	return n
}

// limitTenants does so for each tenant.
func (b *book) limitTenants(entries int) (n int) {
	for ; len(b.heap) > 0 && b.heap[0].len() > entries; n++ {
		b.remove(b.heap[0].oldest())
	}
	return n
}

// limitBytes does so for each tenant's bytes.
func (b *book) limitBytes(bytes int64) (n int) {
	for _, t := range b.tenants {
		for ; t.bytes > bytes; n++ {
			b.remove(t.oldest())
		}
	}
	return n
}

// removeAll removes what Store.Remove does.
func (b *book) removeAll(of dispatcher.RouteID) (n int) {
	l := b.routes[of]
	if t := b.tenants[of.Tenant]; of.Name == "" && t != nil {
		l = &t.list
	}
	for ; l != nil && l.len() > 0; n++ {
		b.remove(l.oldest())
	}
	return n
}

// selected yields the entries that q selects, the newest first, apart from Limit.
func (b *book) selected(q Query) func(yield func(*node) bool) {
	l := &b.all
	switch {
	case q.Route != dispatcher.RouteID{}:
		l = b.routes[q.Route]
	case !q.EveryTenant():
		l = nil
		if t := b.tenants[q.Tenant]; t != nil {
			l = &t.list
		}
	}
	before := q.Before
	if q.Seq > 0 && (before == 0 || before > q.Seq) {
		before = q.Seq + 1
	}
	return func(yield func(*node) bool) {
		if l == nil {
			return
		}
		l.before(before, func(n *node) bool {
			return n.Seq >= q.Seq && (!q.Match(n.Entry) || yield(n))
		})
	}
}
