package manage_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

// api is a Service behind HTTP, below a prefix. Whoever asks says who they are in a header: tenant, roles and whether
// they may see payloads, such as "acme editor,operator payloads".
type api struct {
	*bundle

	url string
	who string
}

func accessOf(r *http.Request) (manage.Access, error) {
	who := strings.Fields(r.Header.Get("Authorization"))
	if len(who) < 2 {
		return manage.Access{}, manage.ErrUnauthenticated
	}
	a := manage.Access{Tenant: who[0], Actor: "priya@acme.example", Payloads: len(who) > 2}
	for role := range strings.SplitSeq(who[1], ",") {
		switch role {
		case "viewer":
			a.Role |= manage.Viewer
		case "editor":
			a.Role |= manage.Editor
		case "operator":
			a.Role |= manage.Operator
		case "platform":
			a.Role |= manage.Platform
		case "banned":
			return manage.Access{}, fmt.Errorf("banned: %w", manage.ErrForbidden)
		case "broken":
			return manage.Access{}, errors.New("directory not-for-anybody is down")
		}
	}
	return a, nil
}

const everything = "acme editor,operator payloads"

func serve(t testing.TB, o manage.Options) *api {
	t.Helper()
	b := start(t, o)
	h, err := b.Handler(manage.HandlerOptions{Access: accessOf, TrustedOrigins: []string{"https://admin.example"}})
	require.NoError(t, err)
	s := httptest.NewServer(http.StripPrefix("/deep/api", h))
	t.Cleanup(s.Close)
	return &api{b, s.URL + "/deep/api/v1", everything}
}

// as is the same for somebody else.
func (a *api) as(who string) *api { return &api{a.bundle, a.url, who} }

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	text   string
}

// send makes a request; pairs are headers.
func (a *api) send(t testing.TB, method, path, body string, pairs ...string) answer {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = bytes.NewBufferString(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, in)
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", a.who)
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Set(pairs[i], pairs[i+1])
	}
	resp, err := new(http.Client).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	recordExchange(t, req, path, body, resp, string(text))
	return answer{resp.StatusCode, resp.Header, string(text)}
}

var recording sync.Mutex // of the one file that all tests write to

// recordExchange writes what was exchanged to the file that is named by TOCSIN_RECORD_EXCHANGES, if one is: the module
// apitest compares it with the description.
func recordExchange(t testing.TB, req *http.Request, path, body string, resp *http.Response, text string) {
	t.Helper()
	name := os.Getenv("TOCSIN_RECORD_EXCHANGES")
	if name == "" {
		return
	}
	line, err := json.Marshal(map[string]any{
		"Method": req.Method, "Path": path, "RequestHeader": req.Header, "RequestBody": body, "Status": resp.StatusCode, "Header": resp.Header, "Body": text,
	})
	require.NoError(t, err)
	recording.Lock()
	defer recording.Unlock()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = f.Write(append(line, '\n'))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// want makes a request that has to be answered with that status, and decodes the answer.
func (a *api) want(t testing.TB, status int, method, path, body string, pairs ...string) map[string]any {
	t.Helper()
	got := a.send(t, method, path, body, pairs...)
	require.Equal(t, status, got.status, "%s %s: %s", method, path, got.text)
	if got.text == "" {
		return nil
	}
	var out map[string]any
	d := json.NewDecoder(strings.NewReader(got.text))
	d.UseNumber()
	require.NoError(t, d.Decode(&out), got.text)
	return out
}

// number is how want decodes one.
func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// pointers lists where a problem says that mistakes are.
func pointers(p map[string]any) (all []string) {
	errs, _ := p["errors"].([]any)
	for _, one := range errs {
		e := one.(map[string]any)
		if at, ok := e["pointer"].(string); ok {
			all = append(all, at)
		} else {
			all = append(all, "?"+fmt.Sprint(e["parameter"]))
		}
	}
	return all
}

// The published bodies of the four creates work as they are.
func TestFourCreates(t *testing.T) {
	t.Parallel()
	o := options(t, manage.NewMemory())
	whole := o.Config
	sns := config.NewRegistry(map[string]config.Type{"sns": snsType()})
	o.Config = func(tenant string) config.Options { c := whole(tenant); c.Types = sns; return c }
	a := serve(t, o)
	for kind, body := range map[string]string{
		"slack-webhook":   `{"name": "sec ops", "webhook_url": "https://hooks.slack.com/services/T0/B0/not-a-real-hook", "event_filters": ["request.break_glass", "grant.revoked"]}`,
		"email":           `{"name": "on-call", "smtp_host": "relay.example.com", "smtp_port": 587, "from_address": "jit@example.com", "to_addresses": ["on-call@example.com"]}`,
		"generic-webhook": `{"name": "siem", "url": "https://siem.example.com/in", "headers": {"Authorization": "Bearer not-a-real-token", "X-Source": "jit"}}`,
		"aws-sns":         `{"name": "topic", "topic_arn": "arn:aws:sns:eu-west-1:123456789012:events"}`,
	} {
		got := a.send(t, http.MethodPost, "/notification-channels/"+kind, body)
		require.Equal(t, http.StatusCreated, got.status, got.text)
		assert.NotEmpty(t, got.header.Get("ETag"))
		assert.NotContains(t, got.text, "not-a-real")
		at, err := url.Parse(a.url + "/notification-channels/" + kind)
		require.NoError(t, err)
		to, err := at.Parse(got.header.Get("Location"))
		require.NoError(t, err)
		path := strings.TrimPrefix(to.String(), a.url)
		read := a.send(t, http.MethodGet, path, "")
		assert.Equal(t, http.StatusOK, read.status)
		assert.Equal(t, got.text, read.text)
		assert.Equal(t, got.header.Get("ETag"), read.header.Get("ETag"))
		var c struct {
			Routes []struct {
				Events []string
				Retry  map[string]any
				Dedup  map[string]any
			}
		}
		require.NoError(t, json.Unmarshal([]byte(got.text), &c))
		require.Len(t, c.Routes, 1)
		assert.Equal(t, map[string]any{"count": 3.0}, c.Routes[0].Retry)
		assert.Equal(t, map[string]any{"window": "2h"}, c.Routes[0].Dedup)
		if kind == "slack-webhook" {
			assert.Equal(t, []string{"request.break_glass", "grant.revoked"}, c.Routes[0].Events)
		} else {
			assert.Empty(t, c.Routes[0].Events)
		}
		again := a.send(t, http.MethodPost, "/notification-channels/"+kind, body)
		assert.Equal(t, http.StatusOK, again.status, "a repeat changes nothing")
		assert.Equal(t, got.text[:20], again.text[:20])
		a.want(t, http.StatusConflict, http.MethodPost, "/notification-channels/"+kind, strings.Replace(body, `{"name"`, `{"max_age": "1h", "name"`, 1))
	}
	list := a.want(t, http.StatusOK, http.MethodGet, "/notification-channels", "")
	assert.Len(t, list["channels"], 4)
}

// What is wrong with a flat body is told by its own names, all at once.
func TestFourCreatesPointIntoThePostedBody(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	for path, c := range map[string]struct {
		body string
		want []string
	}{
		"slack-webhook":   {`{"name": "a", "webhook_url": "ftp://x", "event_filters": ["no.such"], "colour": 1}`, []string{"#/webhook_url", "#/event_filters/0", "#/colour"}},
		"email":           {`{"name": "a", "smtp_port": 99999, "to_addresses": "x", "retry": {"count": "three"}}`, []string{"#/smtp_host", "#/smtp_port", "#/from_address", "#/to_addresses", "#/retry/count"}},
		"generic-webhook": {`{"name": "a", "url": "https://x.example", "headers": {"X-A/b": "v", "Host": "h"}, "enabled": true}`, []string{"#/headers/X-A~1b", "#/headers/Host"}},
		"aws-sns":         {`{"name": "a", "topic_arn": "x"}`, []string{"#"}},
	} {
		p := a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/notification-channels/"+path, c.body)
		assert.ElementsMatch(t, c.want, pointers(p), "%v", p)
		assert.Equal(t, "urn:tocsin:problem:fields", p["type"])
	}
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/notification-channels/generic-webhook", `{"name": "a", "name": "b", "type": "slack"}`)
	assert.Equal(t, []string{"#/name"}, pointers(p))
	a.want(t, http.StatusBadRequest, http.MethodPost, "/notification-channels/generic-webhook", `{"name": `)
	a.want(t, http.StatusUnsupportedMediaType, http.MethodPost, "/notification-channels/generic-webhook", `name=a`, "Content-Type", "application/x-www-form-urlencoded")
	a.want(t, http.StatusRequestEntityTooLarge, http.MethodPost, "/notification-channels/generic-webhook", `{"name": "`+strings.Repeat("a", 600<<10)+`"}`)
	a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/notification-channels/generic-webhook", `[]`)
}

func TestInactiveCreate(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	a.want(t, http.StatusCreated, http.MethodPost, "/notification-channels/generic-webhook", `{"name": "a", "url": "https://x.example", "enabled": false, "event_filters": []}`)
	list := a.want(t, http.StatusOK, http.MethodGet, "/notification-channels?state=disabled", "")
	assert.Len(t, list["channels"], 1)
}

func TestChannelEndpoints(t *testing.T) {
	t.Parallel()
	a, r := serve(t, options(t, manage.NewMemory())), newReceiver(t)
	body := fmt.Sprintf(`{"channel": {"type": "webhook", "name": "a b", "url": "%s/x"}, "routes": [{"name": "one", "events": ["request.*"]}, {"name": "two", "events": ["grant.*"]}]}`, r.url)
	got := a.send(t, http.MethodPost, "/notification-channels", body)
	require.Equal(t, http.StatusCreated, got.status, got.text)
	assert.Equal(t, "./notification-channels/a%20b", got.header.Get("Location"))
	const path = "/notification-channels/a%20b"
	read := a.send(t, http.MethodGet, path, "")
	etag := read.header.Get("ETag")
	var shown struct {
		Channel json.RawMessage   `json:"channel"`
		Routes  []json.RawMessage `json:"routes"`
	}
	require.NoError(t, json.Unmarshal([]byte(read.text), &shown))
	put, err := json.Marshal(map[string]any{"channel": shown.Channel, "routes": shown.Routes[:1]})
	require.NoError(t, err)
	a.want(t, http.StatusPreconditionRequired, http.MethodPut, path, string(put))
	a.want(t, http.StatusPreconditionFailed, http.MethodPut, path, string(put), "If-Match", `"other"`)
	a.want(t, http.StatusPreconditionFailed, http.MethodPut, path, string(put), "If-Match", "W/"+etag)
	changed := a.want(t, http.StatusOK, http.MethodPut, path, string(put), "If-Match", etag)
	assert.Len(t, changed["routes"], 1)
	a.want(t, http.StatusPreconditionFailed, http.MethodPut, path, string(put), "If-Match", etag)
	a.want(t, http.StatusPreconditionFailed, http.MethodDelete, path, "", "If-Match", etag)

	for _, word := range []string{"pause", "disable", "enable"} {
		for range 2 {
			a.want(t, http.StatusOK, http.MethodPost, path+"/"+word, "")
		}
	}
	dispatch(t, a.bundle, "acme")
	assert.Equal(t, "/x", r.next(t).path)
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodPut, path, `{"channel": {"type": "webhook", "url": "https://x.example", "verify_tlss": true}, "routs": []}`, "If-Match", "*")
	assert.Equal(t, []string{"#/routs"}, pointers(p))
	p = a.want(t, http.StatusUnprocessableEntity, http.MethodPut, path, `{"channel": {"type": "webhook", "url": "https://x.example", "verify_tlss": true}, "routes": [{"name": "one", "timeout": 3}]}`, "If-Match", "*")
	assert.Equal(t, []string{"#/channel/verify_tlss", "#/routes/0/timeout"}, pointers(p))
	a.want(t, http.StatusConflict, http.MethodPost, path+"/rename", `{"name": "c"}`)
	create(t, a.bundle, priya, webhook("before", r.url, "*"))
	a.want(t, http.StatusOK, http.MethodPost, "/notification-channels/before/disable", "")
	renamed := a.want(t, http.StatusOK, http.MethodPost, "/notification-channels/before/rename", `{"name": "after"}`)
	assert.Equal(t, "after", renamed["name"])
	a.want(t, http.StatusNoContent, http.MethodDelete, path, "")
	a.want(t, http.StatusNotFound, http.MethodGet, path, "")
	a.want(t, http.StatusNotFound, http.MethodPut, path, string(put), "If-Match", "*")
	a.want(t, http.StatusNotFound, http.MethodDelete, path, "")
}

func TestTestEndpoints(t *testing.T) {
	t.Parallel()
	a, r := serve(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, a.bundle, priya, webhook("a", r.url, ""))
	out := a.want(t, http.StatusOK, http.MethodPost, "/notification-channels/a/test", `{"event_type": "grant.revoked"}`)
	assert.Equal(t, true, out["ok"])
	assert.Equal(t, "answer", out["stage"])
	assert.Equal(t, "thanks", out["response"].(map[string]any)["body_text"])
	assert.Contains(t, r.next(t).body, "grant.revoked")
	out = a.want(t, http.StatusOK, http.MethodPost, "/notification-channels/test", `{"event_type": "grant.revoked", "channel": {"type": "webhook", "url": "http://127.0.0.1:1/x"}}`)
	assert.Equal(t, "connect", out["stage"])
	assert.NotEmpty(t, out["error"])
	assert.Contains(t, out["request"].(map[string]any)["body_text"], "grant.revoked")
	assert.NotContains(t, out, "response")
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/notification-channels/test", `{"event_type": "grant.revoked"}`)
	assert.Equal(t, []string{"#/channel"}, pointers(p))
	p = a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/notification-channels/a/test", `{}`)
	assert.Equal(t, []string{"#/event_type"}, pointers(p))
	a.want(t, http.StatusNotFound, http.MethodPost, "/notification-channels/nobody/test", `{"event_type": "grant.revoked"}`)
	a.want(t, http.StatusConflict, http.MethodPost, "/notification-channels/a/check", "")
	create(t, a.bundle, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "email", "name": "mail", "smtp_host": "127.0.0.1", "smtp_port": 587, "from_address": "a@example.com", "to_addresses": ["b@example.com"]}`)})
	check := a.want(t, http.StatusOK, http.MethodPost, "/notification-channels/mail/check", "")
	assert.Equal(t, false, check["ok"])
	assert.NotEmpty(t, check["message"])
	for range 10 {
		got := a.send(t, http.MethodPost, "/notification-channels/a/test", `{"event_type": "grant.revoked"}`)
		if got.status == http.StatusTooManyRequests {
			assert.NotEmpty(t, got.header.Get("Retry-After"))
			return
		}
	}
	assert.Fail(t, "never too many")
}

func TestRotateEndpoints(t *testing.T) {
	t.Parallel()
	a, r := serve(t, options(t, manage.NewMemory())), newReceiver(t)
	etag := `"` + create(t, a.bundle, priya, signing(r)).ETag + `"`
	const path = "/notification-channels/a/rotate-secret"
	a.want(t, http.StatusPreconditionRequired, http.MethodPost, path, "")
	out := a.want(t, http.StatusOK, http.MethodPost, path, `{"overlap": "12h"}`, "If-Match", etag)
	secret := out["secret"].(string)
	assert.Contains(t, secret, "whsec_")
	assert.NotEmpty(t, out["previous_until"])
	assert.NotContains(t, a.send(t, http.MethodGet, "/notification-channels/a", "").text, secret)
	a.want(t, http.StatusConflict, http.MethodPost, path, `{}`, "If-Match", "*")
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodPost, path, `{"overlap": "200h", "force": true}`, "If-Match", "*")
	assert.Equal(t, []string{"#/overlap"}, pointers(p))
	a.want(t, http.StatusOK, http.MethodPost, "/notification-channels/a/revoke-previous", "")
}

func TestHistoryEndpoints(t *testing.T) {
	t.Parallel()
	a, r := serve(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, a.bundle, priya, webhook("a", r.url, "request.*"))
	const n = 5
	for range n {
		dispatch(t, a.bundle, "acme")
		r.next(t)
	}
	eventually(t, func() bool {
		return len(a.want(t, http.StatusOK, http.MethodGet, "/history", "")["entries"].([]any)) == n
	}, "all are recorded")
	var seqs []string
	cursor := ""
	for {
		page := a.want(t, http.StatusOK, http.MethodGet, "/history?channel=a&outcome=delivered&type=request.pending&limit=2"+cursor, "")
		for _, e := range page["entries"].([]any) {
			entry := e.(map[string]any)
			assert.NotContains(t, entry, "request")
			assert.NotContains(t, entry, "event")
			seqs = append(seqs, fmt.Sprint(entry["seq"]))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	assert.Len(t, seqs, n)
	path := "/history/" + seqs[0]
	entry := a.want(t, http.StatusOK, http.MethodGet, path, "")
	assert.Contains(t, entry["request"].(map[string]any)["body_text"], "AR-2047")
	assert.NotNil(t, entry["event"])
	hidden := a.as("acme editor,operator").want(t, http.StatusOK, http.MethodGet, path, "")
	assert.Equal(t, true, hidden["payload_hidden"])
	for _, field := range []string{"request", "response", "event"} {
		assert.NotContains(t, hidden, field)
	}
	a.want(t, http.StatusAccepted, http.MethodPost, path+"/redeliver", "")
	r.next(t)
	a.want(t, http.StatusNotFound, http.MethodGet, "/history/999999", "")
	a.want(t, http.StatusNotFound, http.MethodGet, "/history/x", "")
	for query, at := range map[string]string{"outcome=x": "?outcome", "since=x": "?since", "status=x": "?status", "limit=0": "?limit", "limit=201": "?limit", "colour=1": "?colour", "type=a&type=b": "?type"} {
		p := a.want(t, http.StatusUnprocessableEntity, http.MethodGet, "/history?"+query, "")
		assert.Equal(t, []string{at}, pointers(p))
	}
}

func TestDeadLetterEndpoints(t *testing.T) {
	t.Parallel()
	a, r := serve(t, options(t, manage.NewMemory())), newReceiver(t)
	dead(t, a.bundle, r, priya, "a", 3)
	page := a.want(t, http.StatusOK, http.MethodGet, "/dead-letters?channel=a&limit=2", "")
	require.Len(t, page["dead_letters"], 2)
	assert.Equal(t, number(3), page["total"])
	first := page["dead_letters"].([]any)[0].(map[string]any)
	assert.NotNil(t, first["event"])
	hidden := a.as("acme viewer").want(t, http.StatusOK, http.MethodGet, "/dead-letters", "")
	assert.NotContains(t, hidden["dead_letters"].([]any)[0], "event")
	rest := a.want(t, http.StatusOK, http.MethodGet, "/dead-letters?channel=a&limit=2&cursor="+page["next_cursor"].(string), "")
	assert.Len(t, rest["dead_letters"], 1)
	assert.NotContains(t, rest, "next_cursor")

	upTo := page["up_to"].(json.Number).String()
	count := func(path, body string) any {
		return a.want(t, http.StatusAccepted, http.MethodPost, path, body)["count"]
	}
	assert.Equal(t, number(2), count("/dead-letters/redeliver", `{"channel": "a", "up_to": `+upTo+`, "dry_run": true}`))
	assert.Equal(t, number(1), count("/dead-letters/redeliver", `{"ids": ["`+first["id"].(string)+`"]}`))
	r.next(t)
	assert.Equal(t, number(1), count("/dead-letters/discard", `{"all": true, "up_to": `+upTo+`}`))
	assert.Equal(t, number(0), count("/dead-letters/discard", `{"all": true, "up_to": `+upTo+`}`))
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/dead-letters/discard", `{"all": true}`)
	assert.Equal(t, []string{"#/up_to"}, pointers(p))
	p = a.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/dead-letters/discard", `{"ids": "x", "all": 1}`)
	assert.Equal(t, []string{"#/ids", "#/all"}, pointers(p))
}

func TestCatalogueEndpoints(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory())).as("acme viewer")
	list := a.want(t, http.StatusOK, http.MethodGet, "/event-types", "")
	assert.Len(t, list["event_types"], len(event.Catalogue()))
	one := a.want(t, http.StatusOK, http.MethodGet, "/event-types/request.pending", "")
	assert.NotNil(t, one["schema"])
	assert.Equal(t, "request.pending", one["sample"].(map[string]any)["event_type"])
	a.want(t, http.StatusNotFound, http.MethodGet, "/event-types/no.such", "")
	types := a.want(t, http.StatusOK, http.MethodGet, "/channel-types", "")
	assert.Len(t, types["channel_types"], 3)
	a.want(t, http.StatusOK, http.MethodGet, "/openapi.json", "")
	out := a.want(t, http.StatusOK, http.MethodPost, "/templates/preview", `{"template": "{\"a\": \"{{data.idd}}\"}", "event_type": "request.pending"}`)
	assert.Equal(t, `{"a": ""}`, out["output"])
	finding := out["findings"].([]any)[0].(map[string]any)
	assert.Equal(t, []any{"data.idd", number(1), number(10)}, []any{finding["path"], finding["line"], finding["column"]})
}

func TestConfigEndpoints(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	create(t, a.bundle, priya, webhook("a", "https://hooks.example/secret-path", ""))
	got := a.send(t, http.MethodGet, "/notification-config", "", "Accept", "application/yaml")
	assert.Equal(t, "application/yaml", got.header.Get("Content-Type"))
	assert.NotContains(t, got.text, "secret-path")
	etag := got.header.Get("ETag")
	edited := got.text + "  - {name: second, channel: a, events: [grant.*]}\n"
	edited = strings.Replace(edited, "\n  - name: a\n    channel: a\n", "\n  - name: a\n    channel: a\n", 1)
	a.want(t, http.StatusPreconditionRequired, http.MethodPut, "/notification-config", edited, "Content-Type", "application/yaml")
	dry := a.send(t, http.MethodPut, "/notification-config?dry_run=true", edited, "Content-Type", "application/yaml", "If-Match", etag)
	if dry.status == http.StatusUnprocessableEntity { // the other indentation of lists
		edited = got.text + "- {name: second, channel: a, events: [grant.*]}\n"
		dry = a.send(t, http.MethodPut, "/notification-config?dry_run=true", edited, "Content-Type", "application/yaml", "If-Match", etag)
	}
	require.Equal(t, http.StatusOK, dry.status, dry.text+got.text)
	assert.Contains(t, dry.text, "routes[1].name")
	assert.Equal(t, got.text, a.send(t, http.MethodGet, "/notification-config", "", "Accept", "application/yaml").text)
	a.want(t, http.StatusOK, http.MethodPut, "/notification-config", edited, "Content-Type", "application/yaml", "If-Match", etag)
	a.want(t, http.StatusPreconditionFailed, http.MethodPut, "/notification-config", edited, "Content-Type", "application/yaml", "If-Match", etag)
	whole := a.want(t, http.StatusOK, http.MethodGet, "/notification-config", "")
	assert.Len(t, whole["routes"], 2)
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/notification-config", "channels:\n- {type: webhook, name: a, urll: x}\n", "Content-Type", "application/yaml", "If-Match", "*")
	assert.Contains(t, pointers(p), "#/channels/0/urll")
	assert.Equal(t, number(2), p["errors"].([]any)[0].(map[string]any)["line"])
}

func TestStatusAndTenants(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	create(t, a.bundle, priya, webhook("a", "https://hooks.example", ""))
	create(t, a.bundle, manage.By{Tenant: "globex"}, webhook("theirs", "https://hooks.example", ""))
	status := a.want(t, http.StatusOK, http.MethodGet, "/status", "")
	assert.Equal(t, "one", status["replica"])
	assert.Equal(t, status["revision"], status["applied_revision"])
	a.want(t, http.StatusForbidden, http.MethodGet, "/tenants", "")
	platform := a.as("- platform")
	page := platform.want(t, http.StatusOK, http.MethodGet, "/tenants?limit=1", "")
	assert.Equal(t, "acme", page["tenants"].([]any)[0].(map[string]any)["tenant"])
	page = platform.want(t, http.StatusOK, http.MethodGet, "/tenants?limit=1&cursor="+page["next_cursor"].(string), "")
	assert.Equal(t, "globex", page["tenants"].([]any)[0].(map[string]any)["tenant"])
	platform.want(t, http.StatusOK, http.MethodGet, "/notification-channels/theirs?tenant=globex", "")
	platform.want(t, http.StatusForbidden, http.MethodDelete, "/notification-channels/theirs?tenant=globex", "")
	a.want(t, http.StatusUnprocessableEntity, http.MethodGet, "/notification-channels/theirs?tenant=globex", "")
	long := a.as("acme platform").want(t, http.StatusUnprocessableEntity, "GET", "/status?tenant="+strings.Repeat("t", manage.MaxTenant+1), "")
	assert.Equal(t, "tenant", long["errors"].([]any)[0].(map[string]any)["parameter"])
}

func TestListEndpoint(t *testing.T) {
	t.Parallel()
	a := serve(t, options(t, manage.NewMemory()))
	for i := range 7 {
		create(t, a.bundle, priya, webhook(fmt.Sprintf("c%d", i), "https://hooks.example", "grant.*"))
	}
	for _, sort := range []string{"name", "health"} {
		var names []string
		cursor := ""
		for {
			page := a.want(t, http.StatusOK, http.MethodGet, "/notification-channels?limit=3&sort="+sort+cursor, "")
			assert.Equal(t, number(7), page["total"])
			for _, c := range page["channels"].([]any) {
				row := c.(map[string]any)
				names = append(names, row["name"].(string))
				assert.Equal(t, []any{"grant.*"}, row["event_filters"])
				assert.Equal(t, number(0), row["queued"])
			}
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			cursor = "&cursor=" + next
			if len(names) == 3 { // what comes in front does not move the next page
				_, err := a.Disable(t.Context(), priya, "c0", "")
				require.NoError(t, err)
			}
		}
		if sort == "name" {
			assert.Equal(t, []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6"}, names)
		}
	}
	p := a.want(t, http.StatusUnprocessableEntity, http.MethodGet, "/notification-channels?health=sick", "")
	assert.Equal(t, []string{"?health"}, pointers(p))
}
