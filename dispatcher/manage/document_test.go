package manage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, manage.ChannelInput{Channel: []byte(`{"type": "webhook", "name": "a", "url": "` + r.url + `/x", "auth": {"kind": "bearer", "token": "not-a-real-token"}}`)})
	exported, err := s.Export(t.Context(), "acme")
	require.NoError(t, err)
	text := string(exported.JSON())
	assert.NotContains(t, text, "not-a-real-token")
	text = strings.Replace(text, `"routes": [`, `"routes": [{"name": "second", "channel": "a", "events": ["grant.*"]},`, 1)

	dry, found, err := s.Import(t.Context(), priya, "a.json", []byte(text), exported.ETag, true)
	require.NoError(t, err)
	assert.NotEmpty(t, found)
	assert.Equal(t, exported.Revision, dry.Revision)
	assert.Equal(t, []string{"a"}, dry.RoutesOf("a"))

	done, again, err := s.Import(t.Context(), priya, "a.json", []byte(text), "", false)
	require.NoError(t, err)
	assert.Equal(t, found, again)
	assert.Greater(t, done.Revision, exported.Revision)
	assert.Equal(t, []string{"second", "a"}, done.RoutesOf("a"))
	_, _, err = s.Import(t.Context(), priya, "a.json", []byte(text), exported.ETag, false)
	failure(t, err, manage.CodeStale)
	events := s.audit.of(event.TypeConfigImported)
	require.Len(t, events, 1)
	dispatch(t, s, "acme")
	assert.Equal(t, "Bearer not-a-real-token", r.next(t).header.Get("Authorization"))

	_, _, err = s.Import(t.Context(), priya, "a.json", []byte(`{"channels": [{"name": 1}], "colours": 1}`), "", false)
	e := failure(t, err, manage.CodeFields)
	assert.Equal(t, "/channels/0/type", e.Fields[0].Pointer)
	assert.Equal(t, 1, e.Fields[0].Line)
	_, _, err = s.Import(t.Context(), manage.By{Tenant: "globex"}, "a.json", []byte(text), "", false)
	failure(t, err, manage.CodeFields)
}

func TestPreview(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	p, err := s.Preview(t.Context(), "acme", manage.PreviewInput{Template: `{"id": "{{data.frendly_id}}"}`, EventType: event.TypeRequestPending})
	require.NoError(t, err)
	assert.Equal(t, `{"id": ""}`, p.Output)
	require.NotEmpty(t, p.Findings)
	assert.Equal(t, "data.frendly_id", p.Findings[0].Path)
	assert.Equal(t, []int{1, 11}, []int{p.Findings[0].Line, p.Findings[0].Column})
	assert.Contains(t, p.Findings[0].Hint, "friendly_id")

	p, err = s.Preview(t.Context(), "acme", manage.PreviewInput{Template: `{{#if`, EventType: event.TypeRequestPending})
	require.NoError(t, err)
	assert.Equal(t, "error", p.Findings[0].Severity)
	p, err = s.Preview(t.Context(), "acme", manage.PreviewInput{Template: `[1{{#if a}},{{/if}}]`, Sample: []byte(`{"a": true}`)})
	require.NoError(t, err)
	assert.Equal(t, "[1,]", p.Output)
	p, err = s.Preview(t.Context(), "acme", manage.PreviewInput{Template: `Hello %%who%%`, Syntax: "macros", Mode: "text", Sample: []byte(`{"who": "<b>"}`)})
	require.NoError(t, err)
	assert.Equal(t, "Hello <b>", p.Output)
	for field, in := range map[string]manage.PreviewInput{
		"/mode": {Mode: "pdf", EventType: event.TypeGrantActive}, "/syntax": {Syntax: "jinja", EventType: event.TypeGrantActive}, "/event_type": {EventType: "no.such"},
	} {
		_, err = s.Preview(t.Context(), "acme", in)
		assert.Equal(t, field, failure(t, err, manage.CodeFields).Fields[0].Pointer)
	}
}

// What a service stores for itself, after it has told of a change, changes neither ETags nor the revision that is
// shown.
func TestRevisionsAreThoseOfChanges(t *testing.T) {
	t.Parallel()
	store := manage.NewMemory()
	first := start(t, options(t, store))
	c := create(t, first, priya, webhook("a", "https://hooks.example", ""))
	before, err := first.Export(t.Context(), "acme")
	require.NoError(t, err)
	first.shutdown(t)
	stored, err := store.Get(t.Context(), "acme")
	require.NoError(t, err)
	require.Greater(t, stored.Revision, c.Revision, "it was stored once more")

	second := start(t, options(t, store))
	after, err := second.Export(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, before.ETag, after.ETag)
	assert.Equal(t, c.Revision, after.Revision)
	got, err := second.Get(t.Context(), "acme", "a")
	require.NoError(t, err)
	assert.Equal(t, c, got)
	status, err := second.Status(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, c.Revision, status.Revision)
	changed, err := second.Pause(t.Context(), priya, "a", "")
	require.NoError(t, err)
	assert.Greater(t, changed.Revision, stored.Revision)
}

// The record of an import says which secrets are new, in JSON and in YAML, and shows none.
func TestImportTellsOfNewSecrets(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	text := func(first, second string) []byte {
		return []byte(`{"channels": [{"type": "webhook", "name": "a", "url": "https://example.com", "headers": [` +
			`{"name": "X-One", "secret": "` + first + `"}, {"name": "X-Two", "secret": "` + second + `"}]}], "routes": []}`)
	}
	_, _, err := s.Import(t.Context(), priya, "a.json", text("not-a-real-one", "not-a-real-two"), "", false)
	require.NoError(t, err)
	want := []event.FieldChange{{Path: "channels[0].headers[1].secret", Before: "[redacted]", After: "changed"}}
	_, dry, err := s.Import(t.Context(), priya, "a.yaml", text("[redacted]", "not-a-real-three"), "", true)
	require.NoError(t, err)
	assert.Equal(t, want, dry)
	_, found, err := s.Import(t.Context(), priya, "a.yaml", text("[redacted]", "not-a-real-three"), "", false)
	require.NoError(t, err)
	assert.Equal(t, want, found)
	_, again, err := s.Import(t.Context(), priya, "a.yaml", text("[redacted]", "not-a-real-three"), "", true)
	require.NoError(t, err)
	assert.Equal(t, want, again, "a value that is given again counts as changed, or it could be tried out")
	events := s.audit.of(event.TypeConfigImported)
	require.Len(t, events, 2)
	assert.Contains(t, string(events[1].JSON()), `"after":"changed"`)
	assert.NotContains(t, string(events[1].JSON()), "not-a-real")
}
