package manage_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

// once is a channel whose deliveries are dead after one failure.
func once(name string, r *receiver) manage.ChannelInput {
	in := webhook(name, r.url+"/"+name, "")
	in.Routes = []json.RawMessage{json.RawMessage(`{"name": "` + name + `", "retry": {"count": 0}, "order": "strict", "breaker": {"off": true}}`)}
	return in
}

// dead makes n dead letters of a tenant's channel.
func dead(t *testing.T, s *bundle, r *receiver, by manage.By, name string, n int) []dispatcher.DeadLetter {
	t.Helper()
	create(t, s, by, once(name, r))
	r.status.Store(http.StatusBadGateway)
	for range n {
		dispatch(t, s, by.Tenant)
		r.next(t)
	}
	var letters []dispatcher.DeadLetter
	eventually(t, func() bool {
		var err error
		letters, _, err = s.DeadLetters(t.Context(), by.Tenant, manage.DeadLetterQuery{Channel: name})
		require.NoError(t, err)
		return len(letters) == n
	}, "they are dead")
	r.status.Store(http.StatusOK)
	return letters
}

func TestDeadLettersOfATenant(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	globex := manage.By{Tenant: "globex"}
	mine, theirs := dead(t, s, r, priya, "a", 3), dead(t, s, r, globex, "a", 2)
	all, total, err := s.DeadLetters(t.Context(), "acme", manage.DeadLetterQuery{})
	require.NoError(t, err)
	assert.Equal(t, mine, all)
	assert.Equal(t, 3, total)
	page, _, err := s.DeadLetters(t.Context(), "acme", manage.DeadLetterQuery{After: mine[0].Seq, Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, mine[1:2], page)

	ids := func(l ...dispatcher.DeadLetter) (ids []string) {
		for _, one := range l {
			ids = append(ids, one.ID)
		}
		return ids
	}
	n, err := s.RedeliverDead(t.Context(), priya, manage.DeadLetterSelection{IDs: ids(theirs...)})
	require.NoError(t, err)
	assert.Zero(t, n, "another tenant's ids are unknown")
	n, err = s.DiscardDead(t.Context(), priya, manage.DeadLetterSelection{IDs: ids(theirs...)})
	require.NoError(t, err)
	assert.Zero(t, n)

	upTo := mine[1].Seq
	n, err = s.RedeliverDead(t.Context(), priya, manage.DeadLetterSelection{Channel: "a", UpTo: upTo, DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Empty(t, s.audit.of(event.TypeDeadRedelivered))
	n, err = s.RedeliverDead(t.Context(), priya, manage.DeadLetterSelection{Channel: "a", UpTo: upTo})
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Contains(t, r.next(t).body, mine[0].Delivery.Event.ID())
	assert.Contains(t, r.next(t).body, mine[1].Delivery.Event.ID())
	n, err = s.RedeliverDead(t.Context(), priya, manage.DeadLetterSelection{All: true, UpTo: upTo})
	require.NoError(t, err)
	assert.Zero(t, n, "a repeat takes nothing new")
	n, err = s.DiscardDead(t.Context(), priya, manage.DeadLetterSelection{All: true, UpTo: mine[2].Seq})
	require.NoError(t, err)
	assert.Equal(t, 1, n)

	told := s.audit.of(event.TypeDeadRedelivered)
	require.Len(t, told, 1)
	assert.Equal(t, event.ConfigChange{Channel: "a", Actor: priya.Actor, Count: 2}, decode[event.DeadRedelivered](t, told[0]).ConfigChange)
	assert.Len(t, s.audit.of(event.TypeDeadDiscarded), 1)
	left, _, err := s.DeadLetters(t.Context(), "globex", manage.DeadLetterQuery{})
	require.NoError(t, err)
	assert.Equal(t, theirs, left)
}

func TestSelectionsOfDeadLetters(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	for want, sel := range map[string]manage.DeadLetterSelection{
		"":       {},
		"/up_to": {All: true},
		"/ids":   {IDs: make([]string, 1001)},
		"/since": {All: true, UpTo: 1, Since: time.Now()},
	} {
		_, err := s.DiscardDead(t.Context(), priya, sel)
		assert.Equal(t, want, failure(t, err, manage.CodeFields).Fields[0].Pointer)
	}
	_, err := s.DiscardDead(t.Context(), priya, manage.DeadLetterSelection{IDs: []string{"x"}, All: true})
	failure(t, err, manage.CodeFields)
	_, err = s.DiscardDead(t.Context(), priya, manage.DeadLetterSelection{Channel: "nobody", UpTo: 1})
	failure(t, err, manage.CodeNotFound)
}

func TestHistoryOfATenant(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	globex := manage.By{Tenant: "globex"}
	create(t, s, priya, webhook("a", r.url+"/a", "request.*"))
	create(t, s, priya, webhook("b", r.url+"/b", "request.*"))
	create(t, s, globex, webhook("a", r.url+"/theirs", "request.*"))
	e := dispatch(t, s, "acme")
	dispatch(t, s, "globex")
	for range 3 {
		r.next(t)
	}
	var all []history.Entry
	eventually(t, func() bool {
		var err error
		all, err = s.History(t.Context(), "acme", manage.HistoryQuery{})
		require.NoError(t, err)
		return len(all) == 2
	}, "both are recorded")
	some, err := s.History(t.Context(), "acme", manage.HistoryQuery{Channel: "a"})
	require.NoError(t, err)
	require.Len(t, some, 1)
	assert.Equal(t, e.ID(), some[0].Event.ID())
	assert.NotContains(t, some[0].Request.Start, "/a")
	_, err = s.HistoryEntry(t.Context(), "globex", some[0].Seq)
	failure(t, err, manage.CodeNotFound)
	failure(t, s.Redeliver(t.Context(), globex, some[0].Seq), manage.CodeNotFound)

	require.NoError(t, s.Redeliver(t.Context(), priya, some[0].Seq))
	assert.Equal(t, "/a", r.next(t).path)
	_, err = s.Disable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	failure(t, s.Redeliver(t.Context(), priya, some[0].Seq), manage.CodeState)
	_, err = s.History(t.Context(), "acme", manage.HistoryQuery{Channel: "nobody"})
	failure(t, err, manage.CodeNotFound)
}

func TestListFiltersAndSorts(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	dead(t, s, r, priya, "zeta", 1)
	create(t, s, priya, webhook("Alpha", r.url+"/x", "grant.*"))
	create(t, s, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "email", "name": "mail", "smtp_host": "relay.example", "from_address": "a@example.com", "to_addresses": ["b@example.com"]}`), Routes: []json.RawMessage{}})
	names := func(q manage.ListQuery) (names []string) {
		rows, err := s.List(t.Context(), "acme", q, nil)
		require.NoError(t, err)
		for _, r := range rows {
			names = append(names, r.Name)
		}
		return names
	}
	assert.Equal(t, []string{"Alpha", "mail", "zeta"}, names(manage.ListQuery{}))
	assert.Equal(t, []string{"zeta", "Alpha", "mail"}, names(manage.ListQuery{Sort: "health"}))
	assert.Equal(t, []string{"zeta"}, names(manage.ListQuery{Health: manage.HealthFailing}))
	assert.Equal(t, []string{"mail"}, names(manage.ListQuery{Type: "email"}))
	assert.Equal(t, []string{"mail"}, names(manage.ListQuery{State: "unused"}))
	assert.Equal(t, []string{"Alpha"}, names(manage.ListQuery{Text: "ALPH"}))
	assert.Equal(t, []string{"mail"}, names(manage.ListQuery{Text: "relay"}))
	rows, err := s.List(t.Context(), "acme", manage.ListQuery{}, func(all []manage.Row) []manage.Row { return all[2:] })
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, 1, rows[0].Dead)
	assert.Contains(t, rows[0].LastError, "502")
	assert.False(t, rows[0].FailingSince.IsZero())
	assert.Equal(t, r.url+"/[redacted]", rows[0].Destination)

	status, err := s.Status(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, 3, status.Channels)
	assert.Len(t, status.Failing, 1)
	assert.Equal(t, 1, status.Dead)
	assert.Equal(t, "one", status.Replica)
	assert.Equal(t, status.Revision, status.Applied)
}

// All ids that the host's limit lets through are selected.
func TestMoreIDsThanAPage(t *testing.T) {
	t.Parallel()
	o := options(t, manage.NewMemory())
	o.Limits.IDs = 1001
	s, r := start(t, o), newReceiver(t)
	letters := dead(t, s, r, priya, "a", 1)
	_, err := s.Disable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	create(t, s, priya, once("b", r)) // a lane keeps 1,000
	r.status.Store(http.StatusBadGateway)
	for range 1000 {
		dispatch(t, s, "acme")
	}
	eventually(t, func() bool {
		more, _, err := s.DeadLetters(t.Context(), "acme", manage.DeadLetterQuery{After: letters[0].Seq, Limit: 1000})
		require.NoError(t, err)
		if len(more) == 1000 {
			letters = append(letters, more...)
		}
		return len(letters) == 1001
	}, "they are dead")
	ids := []string{}
	for _, l := range letters {
		ids = append(ids, l.ID)
	}
	n, err := s.DiscardDead(t.Context(), priya, manage.DeadLetterSelection{IDs: ids, DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, len(ids), n)
}
