package manage

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// ListQuery selects channels; fields combine with "and", and a zero value selects all.
type ListQuery struct {
	Text   string // in the name or the destination, whatever the case
	Type   string
	State  string // enabled, paused, disabled, unused
	Health string // ok, failing, none
	Sort   string // name, or health: what fails first; "" = name
}

// Row is one channel in a list. It holds no secret.
type Row struct {
	Name         string
	Type         string
	State        string // enabled, paused or disabled; unused = no route uses it
	Health       string // ok; failing; none = nothing was tried yet
	Destination  string // as far as it may be shown; "" = nothing of it may
	EventFilters []string
	Queued, Dead int // -1 = the queue cannot tell
	LastSuccess  time.Time
	FailingSince time.Time
	LastError    string
	Broken       string // why it cannot be used; "" = it can

	routes []string
	folded string // Name in lower case
}

// The healths of a Row.
const (
	HealthOK      = "ok"
	HealthFailing = "failing"
	HealthNone    = "none"
)

// List lists channels. Only those that pick accepts are counted by the queue, which costs most: it gets all that the
// query selects, in order, and returns a part of them. nil = all.
func (s *Service) List(ctx context.Context, tenant string, q ListQuery, pick func(all []Row) []Row) ([]Row, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	rows := s.viewOf(tenant).allRows()
	if q.Text != "" || q.Type != "" || q.State != "" {
		rows = slices.Collect(func(yield func(Row) bool) {
			for i := range rows {
				if q.matches(&rows[i]) && !yield(rows[i]) {
					return
				}
			}
		})
	}
	byHealth := q.Health != "" || q.Sort == "health"
	if byHealth {
		rows = slices.Clone(rows)
		if err := s.fill(ctx, tenant, rows); err != nil {
			return nil, err
		}
		rows = slices.DeleteFunc(rows, func(r Row) bool { return q.Health != "" && q.Health != r.Health })
	}
	if q.Sort == "health" { // they are in the order of their names
		slices.SortFunc(rows, func(a, b Row) int { return q.compare(a, rank(a), b, rank(b)) })
	}
	if pick != nil {
		rows = pick(rows)
	}
	if !byHealth {
		rows = slices.Clone(rows) // those of the page
		if err := s.fill(ctx, tenant, rows); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// compare orders rows of these ranks.
func (q ListQuery) compare(a Row, rankA int, b Row, rankB int) int {
	order := 0
	if q.Sort == "health" {
		order = cmp.Compare(rankA, rankB)
	}
	return cmp.Or(order, strings.Compare(a.folded, b.folded), strings.Compare(a.Name, b.Name))
}

// rank orders rows by how much they want somebody's attention.
func rank(r Row) int {
	switch {
	case r.Health == HealthFailing:
		return 0
	case r.State == dispatcher.Enabled.String():
		return 1
	}
	return 2
}

func (q ListQuery) matches(r *Row) bool {
	text := strings.ToLower(q.Text)
	return (text == "" || strings.Contains(r.folded, text) || strings.Contains(strings.ToLower(r.Destination), text)) &&
		(q.Type == "" || q.Type == r.Type) && (q.State == "" || q.State == r.State)
}

// rows are those of a Set, made when they are first listed, and sorted by name.
type rows struct {
	set  *config.Set
	once sync.Once
	all  []Row
}

// allRows lists the tenant's channels by name. Nobody modifies them.
func (v *view) allRows() []Row {
	if v.rows == nil {
		return nil
	}
	v.rows.once.Do(func() {
		for _, c := range v.document().Channels() {
			r := v.row(c)
			r.folded = strings.ToLower(r.Name)
			v.rows.all = append(v.rows.all, r)
		}
		slices.SortFunc(v.rows.all, func(a, b Row) int { return ListQuery{}.compare(a, 0, b, 0) })
	})
	return v.rows.all
}

// unused is the state of a channel without a route.
const unused = "unused"

// row is what the document says of a channel.
func (v *view) row(c config.ChannelSummary) Row {
	r := Row{Name: c.Name, Type: c.Type, Destination: c.Destination, State: unused, Health: HealthNone, EventFilters: []string{}}
	all := false
	for i, route := range c.Routes {
		if i == 0 || route.State == dispatcher.Enabled || route.State == dispatcher.Paused && r.State == dispatcher.Disabled.String() {
			r.State = route.State.String()
		}
		all = all || len(route.Events) == 0
		for _, e := range route.Events {
			if !slices.Contains(r.EventFilters, e) {
				r.EventFilters = append(r.EventFilters, e)
			}
		}
		r.routes = append(r.routes, route.Name)
	}
	if all {
		r.EventFilters = []string{}
	}
	if r.Broken = v.broken(c.Name, r.routes); r.Broken != "" {
		r.Health = HealthFailing
	}
	return r
}

// fill fills in how the channels of the rows are doing.
func (s *Service) fill(ctx context.Context, tenant string, rows []Row) error {
	index := map[dispatcher.RouteID]*Row{}
	var ids []dispatcher.RouteID
	for i := range rows {
		for _, name := range rows[i].routes {
			id := dispatcher.RouteID{Tenant: tenant, Name: name}
			index[id], ids = &rows[i], append(ids, id)
		}
	}
	if ids == nil {
		return nil
	}
	found, err := s.engine.Status(ctx, dispatcher.StatusFilter{Routes: ids})
	if err != nil && ctx.Err() != nil {
		return unavailable("the queue", err)
	}
	for _, status := range found {
		index[status.Route].add(status)
	}
	return nil
}

// add adds how one of its routes is doing.
func (r *Row) add(s dispatcher.RouteStatus) {
	if r.Queued, r.Dead = r.Queued+s.Queued, r.Dead+s.DeadLetters; s.Queued < 0 || r.Queued < 0 {
		r.Queued = -1
	}
	if s.DeadLetters < 0 || r.Dead < 0 {
		r.Dead = -1
	}
	switch {
	case !s.FailingSince.IsZero() || s.Gone || s.AutoDisabled:
		r.Health = HealthFailing
	case !s.LastSuccess.IsZero() && r.Health == HealthNone:
		r.Health = HealthOK
	}
	if !s.FailingSince.IsZero() && (r.FailingSince.IsZero() || s.FailingSince.Before(r.FailingSince)) {
		r.FailingSince = s.FailingSince
	}
	if s.LastSuccess.After(r.LastSuccess) {
		r.LastSuccess = s.LastSuccess
	}
	if !s.FailingSince.IsZero() || r.LastError == "" {
		r.LastError = s.LastError
	}
}

// Status is how a tenant's channels are doing in all.
type Status struct {
	Replica           string // this process
	Revision, Applied Revision
	Problem           string // why the stored revision is not in force, or not as a whole; "" = it is
	Channels          int
	Failing           []Row // channels
	Queued, Dead      int   // -1 = the queue cannot tell
	LostHistory       int64 // entries that could not be stored, of all tenants
}

// Status describes a tenant.
func (s *Service) Status(ctx context.Context, tenant string) (Status, error) {
	rows, err := s.List(ctx, tenant, ListQuery{Sort: "health"}, nil)
	if err != nil {
		return Status{}, err
	}
	v := s.viewOf(tenant)
	stored, applied := v.revisions()
	out := Status{Replica: s.options.Replica, Revision: stored, Applied: applied, Problem: v.problem, Channels: len(rows),
		Failing: []Row{}, LostHistory: s.recorder.Lost()}
	for _, r := range rows {
		if r.Health == HealthFailing {
			out.Failing = append(out.Failing, r)
		}
		if out.Queued >= 0 {
			out.Queued = sum(out.Queued, r.Queued)
		}
		if out.Dead >= 0 {
			out.Dead = sum(out.Dead, r.Dead)
		}
	}
	return out, nil
}

func sum(a, b int) int {
	if b < 0 {
		return -1
	}
	return a + b
}

// TenantStatus is what a Service knows of one tenant.
type TenantStatus struct {
	Tenant            string
	Revision, Applied Revision
	Problem           string
}

// Tenants lists the tenants that have a document, by name, behind after and at most limit of them; 0 = all.
func (s *Service) Tenants(ctx context.Context, after string, limit int) ([]TenantStatus, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var all []TenantStatus
	for _, tenant := range s.known() {
		if v := s.viewOf(tenant); tenant > after && (v.revision != 0 || v.problem != "") {
			stored, applied := v.revisions()
			all = append(all, TenantStatus{tenant, stored, applied, v.problem})
		}
	}
	slices.SortFunc(all, func(a, b TenantStatus) int { return strings.Compare(a.Tenant, b.Tenant) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

// newest merges the entries of several routes.
func newest(all []history.Entry, routes, limit int) []history.Entry {
	if routes > 1 {
		slices.SortFunc(all, func(a, b history.Entry) int { return cmp.Compare(b.Seq, a.Seq) })
	}
	return all[:min(len(all), limit)]
}
