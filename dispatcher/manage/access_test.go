package manage_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// rows are all endpoints with who may call them: the table of the API.
func rows() []struct{ method, path, roles string } {
	const one = "/notification-channels/a"
	return []struct{ method, path, roles string }{
		{"GET", "/notification-channels", "viewer editor operator platform"},
		{"POST", "/notification-channels", "editor"},
		{"POST", "/notification-channels/slack-webhook", "editor"},
		{"POST", "/notification-channels/email", "editor"},
		{"POST", "/notification-channels/generic-webhook", "editor"},
		{"POST", "/notification-channels/aws-sns", "editor"},
		{"GET", one, "viewer editor operator platform"},
		{"PUT", one, "editor"},
		{"DELETE", one, "editor"},
		{"POST", one + "/rename", "editor"},
		{"POST", one + "/enable", "editor"},
		{"POST", one + "/disable", "editor"},
		{"POST", one + "/pause", "editor operator"},
		{"POST", one + "/test", "editor"},
		{"POST", "/notification-channels/test", "editor"},
		{"POST", one + "/check", "viewer editor operator platform"},
		{"POST", one + "/rotate-secret", "editor"},
		{"POST", one + "/revoke-previous", "editor"},
		{"GET", "/history", "viewer editor operator platform"},
		{"GET", "/history/1", "viewer editor operator platform"},
		{"POST", "/history/1/redeliver", "operator"},
		{"GET", "/dead-letters", "viewer editor operator platform"},
		{"POST", "/dead-letters/redeliver", "operator"},
		{"POST", "/dead-letters/discard", "operator"},
		{"GET", "/event-types", "viewer editor operator platform"},
		{"GET", "/event-types/request.pending", "viewer editor operator platform"},
		{"GET", "/channel-types", "viewer editor operator platform"},
		{"GET", "/openapi.json", "viewer editor operator platform"},
		{"POST", "/templates/preview", "viewer editor operator platform"},
		{"GET", "/notification-config", "viewer editor operator platform"},
		{"PUT", "/notification-config", "editor"},
		{"GET", "/status", "viewer editor operator platform"},
		{"GET", "/tenants", "platform"},
	}
}

// Each row of the API is for its roles, and asks before it reads the body.
func TestRolesOfEveryEndpoint(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	var described struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	text, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &described))
	n := 0
	for _, methods := range described.Paths {
		n += len(methods)
	}
	assert.Len(t, rows(), n, "the table of this test has every endpoint")
	for _, row := range rows() {
		for _, role := range []string{"viewer", "editor", "operator", "platform"} {
			got := a.as("acme "+role).send(t, row.method, row.path, "", "Content-Type", "application/x-unheard-of")
			if strings.Contains(row.roles, role) {
				assert.NotContains(t, []int{http.StatusForbidden, http.StatusMethodNotAllowed}, got.status, "%s %s as %s", row.method, row.path, role)
			} else {
				assert.Equal(t, http.StatusForbidden, got.status, "%s %s as %s", row.method, row.path, role)
			}
		}
		assert.Equal(t, http.StatusUnauthorized, a.as("").send(t, row.method, row.path, "").status)
		assert.Equal(t, http.StatusForbidden, a.as("acme banned").send(t, row.method, row.path, "").status)
	}
}

// Another tenant's names, ids and cursors are answered as unknown ones, with the same bytes.
func TestOtherTenantsAreUnknown(t *testing.T) {
	t.Parallel()
	a, r := serve(t, options(t, manage.NewMemory())), newReceiver(t)
	globex := manage.By{Tenant: "globex"}
	create(t, a.bundle, globex, webhook("theirs", r.url, "request.*"))
	letters := dead(t, a.bundle, r, globex, "dead", 3)
	for range 3 {
		dispatch(t, a.bundle, "globex")
		r.next(t)
		r.next(t)
	}
	them := a.as("globex editor,operator payloads")
	var entries []any
	eventually(t, func() bool {
		entries = them.want(t, http.StatusOK, http.MethodGet, "/history", "")["entries"].([]any)
		return len(entries) > 6
	}, "they are recorded")
	seq, _ := json.Marshal(entries[0].(map[string]any)["seq"])
	create(t, a.bundle, priya, webhook("mine", r.url, "grant.*"))

	const body = `{"channel": {"type": "webhook", "url": "https://x.example"}}`
	for _, c := range []struct{ method, path, unknown, body string }{
		{"GET", "/notification-channels/theirs", "/notification-channels/nobody", ""},
		{"PUT", "/notification-channels/theirs", "/notification-channels/nobody", body},
		{"DELETE", "/notification-channels/theirs", "/notification-channels/nobody", ""},
		{"POST", "/notification-channels/theirs/enable", "/notification-channels/nobody/enable", ""},
		{"POST", "/notification-channels/theirs/disable", "/notification-channels/nobody/disable", ""},
		{"POST", "/notification-channels/theirs/pause", "/notification-channels/nobody/pause", ""},
		{"POST", "/notification-channels/theirs/rename", "/notification-channels/nobody/rename", `{"name": "x"}`},
		{"POST", "/notification-channels/theirs/test", "/notification-channels/nobody/test", `{"event_type": "grant.active"}`},
		{"POST", "/notification-channels/theirs/check", "/notification-channels/nobody/check", ""},
		{"POST", "/notification-channels/theirs/rotate-secret", "/notification-channels/nobody/rotate-secret", "{}"},
		{"POST", "/notification-channels/theirs/revoke-previous", "/notification-channels/nobody/revoke-previous", ""},
		{"GET", "/history?channel=theirs", "/history?channel=nobody", ""},
		{"GET", "/history/" + string(seq), "/history/999999", ""},
		{"POST", "/history/" + string(seq) + "/redeliver", "/history/999999/redeliver", ""},
		{"GET", "/dead-letters?channel=dead", "/dead-letters?channel=nobody", ""},
	} {
		theirs, unknown := a.send(t, c.method, c.path, c.body, "If-Match", "*"), a.send(t, c.method, c.unknown, c.body, "If-Match", "*")
		assert.Equal(t, http.StatusNotFound, theirs.status, "%s %s", c.method, c.path)
		clean := strings.NewReplacer("theirs", "nobody", "dead", "nobody", string(seq), "999999")
		assert.Equal(t, unknown.text, clean.Replace(theirs.text), "%s %s", c.method, c.path)
	}
	for _, id := range []string{letters[0].ID, "made up"} {
		out := a.want(t, http.StatusAccepted, http.MethodPost, "/dead-letters/discard", `{"ids": ["`+id+`"]}`)
		assert.Equal(t, number(0), out["count"])
	}
	for path, field := range map[string]string{"/notification-channels?limit=1": "channels", "/history?limit=1": "entries", "/dead-letters?limit=1": "dead_letters"} {
		page := them.want(t, http.StatusOK, http.MethodGet, path, "")
		require.Len(t, page[field], 1)
		cursor := page["next_cursor"].(string)
		theirs, unknown := a.send(t, http.MethodGet, path+"&cursor="+cursor, ""), a.send(t, http.MethodGet, path+"&cursor=x", "")
		assert.Equal(t, http.StatusNotFound, theirs.status)
		assert.Equal(t, unknown.text, theirs.text)
		them.want(t, http.StatusOK, http.MethodGet, path+"&cursor="+cursor, "")
		if field != "history" {
			got := them.send(t, http.MethodGet, path+"&channel=dead&q=x&cursor="+cursor, "")
			assert.NotEqual(t, http.StatusOK, got.status, "a cursor is for its filters")
		}
	}
	for _, path := range []string{"/notification-channels", "/history", "/dead-letters", "/status", "/notification-config"} {
		text := a.send(t, http.MethodGet, path, "").text
		for _, word := range []string{"theirs", "globex", letters[0].ID} {
			assert.NotContains(t, text, word, path)
		}
	}
}

func TestHeadersOfEveryResponse(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	for _, got := range []answer{a.send(t, http.MethodGet, "/status", ""), a.send(t, http.MethodGet, "/nothing", ""), a.as("").send(t, http.MethodGet, "/status", "")} {
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		assert.Equal(t, "Cookie, Authorization", got.header.Get("Vary"))
		assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-referrer", got.header.Get("Referrer-Policy"))
		assert.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'none'")
	}
	got := a.send(t, http.MethodPatch, "/notification-channels/a", "")
	assert.Equal(t, http.StatusMethodNotAllowed, got.status)
	assert.Equal(t, "DELETE, GET, PUT", got.header.Get("Allow"))
	assert.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
	assert.Equal(t, http.StatusOK, a.send(t, http.MethodHead, "/status", "").status)
}

// A page of another site cannot change anything.
func TestCrossOriginRequests(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	const body = `{"name": "a", "url": "https://x.example"}`
	const path = "/notification-channels/generic-webhook"
	a.want(t, http.StatusForbidden, http.MethodPost, path, body, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	a.want(t, http.StatusForbidden, http.MethodPost, path, body, "Origin", "https://evil.example")
	a.want(t, http.StatusCreated, http.MethodPost, path, body, "Sec-Fetch-Site", "cross-site", "Origin", "https://admin.example")
	a.want(t, http.StatusOK, http.MethodPost, path, body, "Sec-Fetch-Site", "same-origin")
}

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An internal error shows an id only, by which it is found in the log.
func TestInternalErrorsShowAnID(t *testing.T) {
	t.Parallel()
	log := new(logged)
	o := options(t, manage.NewMemory())
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	a := serve(t, o)
	p := a.as("acme broken").want(t, http.StatusInternalServerError, http.MethodGet, "/status", "")
	assert.NotEmpty(t, p["id"])
	assert.NotContains(t, p, "detail")
	assert.Contains(t, log.String(), p["id"].(string))
	assert.Contains(t, log.String(), "not-for-anybody")
	a.as("* viewer").want(t, http.StatusInternalServerError, http.MethodGet, "/history", "")

	h, err := a.Handler(manage.HandlerOptions{Access: func(*http.Request) (manage.Access, error) { panic("not-for-anybody-2") }})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/status", nil))
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.NotContains(t, w.Body.String()+log.String(), "not-for-anybody-2")
}

// A store that does not answer is told so, with when to try again.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	store := &flakyStore{Memory: manage.NewMemory()}
	a := serve(t, options(t, store))
	store.fail.Store(true)
	got := a.send(t, http.MethodPost, "/notification-channels/generic-webhook", `{"name": "a", "url": "https://x.example"}`)
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Equal(t, "5", got.header.Get("Retry-After"))
	assert.NotContains(t, got.text, "connection lost")
}

func TestHandlerOptions(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	for path, o := range map[string]manage.HandlerOptions{"Access": {}, "TrustedOrigins": {Access: accessOf, TrustedOrigins: []string{"admin"}}} {
		_, err := s.Handler(o)
		var wrong *channel.ConfigError
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, path, wrong.Path)
	}
	for path, change := range map[string]func(*manage.Options){
		"Documents": func(o *manage.Options) { o.Documents = nil },
		"Sealer":    func(o *manage.Options) { o.Plaintext = false },
	} {
		o := options(t, manage.NewMemory())
		change(&o)
		_, err := manage.New(t.Context(), o)
		var wrong *channel.ConfigError
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, path, wrong.Path)
	}
}
