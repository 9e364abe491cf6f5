package manage_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

func test(eventType event.Type, in *manage.ChannelInput) manage.TestInput {
	return manage.TestInput{EventType: eventType, Channel: in}
}

// Each stage where a test can end: the request is there although it could not be sent, and so is the text that is no
// JSON.
func TestTestStages(t *testing.T) {
	t.Parallel()
	o := options(t, manage.NewMemory())
	o.Limits.Tests = 100
	s, r := start(t, o), newReceiver(t)
	hang, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hang.Close()) })
	go func() {
		for {
			c, err := hang.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	for name, c := range map[string]struct {
		fields, body string
		stage        manage.Stage
	}{
		"answer":  {`"url": "` + r.url + `"`, `"event_type":"request.pending"`, manage.StageAnswer},
		"connect": {`"url": "http://127.0.0.1:1/x"`, `"event_type":"request.pending"`, manage.StageConnect},
		"guard":   {`"url": "http://10.0.0.1/x"`, `"event_type":"request.pending"`, manage.StageGuard},
		"tls":     {`"url": "` + strings.Replace(r.url, "http:", "https:", 1) + `"`, `"event_type":"request.pending"`, manage.StageTLS},
		"send":    {`"url": "http://` + hang.Addr().String() + `"`, `"event_type":"request.pending"`, manage.StageSend},
		"render":  {`"url": "` + r.url + `", "body": {"kind": "template", "template": "{\"id\": \"{{data.friendly_id}}\"{{#if event_type}},{{/if}} }"}`, `{"id": "AR-`, manage.StageRender},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := s.Test(t.Context(), priya, "", test(event.TypeRequestPending, &manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", ` + c.fields + `}`)}))
			require.NoError(t, err)
			assert.Equal(t, c.stage, result.Stage, result.Error)
			assert.Equal(t, c.stage == manage.StageAnswer, result.OK)
			assert.Equal(t, result.OK, result.Error == "")
			require.NotNil(t, result.Request)
			assert.Contains(t, string(result.Request.Body), c.body)
			if result.OK {
				assert.Equal(t, "thanks", string(result.Response.Body))
				assert.Equal(t, http.StatusOK, result.Status)
				got := r.next(t)
				assert.Equal(t, "true", got.header.Get("Tocsin-Test"))
			}
		})
	}
	assert.Len(t, s.audit.of(event.TypeChannelTested), 6)
	rows, err := s.List(t.Context(), "acme", manage.ListQuery{}, nil)
	require.NoError(t, err)
	assert.Empty(t, rows, "nothing is stored")
}

// A saved channel is tested whatever its state; each test has a new event, also one that was given.
func TestTestOfASavedChannel(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("a", r.url+"/a", "grant.*"))
	_, err := s.Disable(t.Context(), priya, "a", "")
	require.NoError(t, err)
	given, _ := event.Sample(event.TypeAlertOpened)
	ids := map[string]bool{}
	for range 2 {
		result, err := s.Test(t.Context(), priya, "a", manage.TestInput{Event: given.JSON()})
		require.NoError(t, err)
		assert.True(t, result.OK)
		got := r.next(t)
		assert.Contains(t, got.body, `"alert.opened"`)
		assert.Contains(t, got.body, `"tenant":"acme"`)
		ids[got.header.Get("Webhook-Id")] = true
		assert.NotContains(t, got.body, given.ID())
	}
	assert.Len(t, ids, 2)
	_, err = s.Test(t.Context(), priya, "nobody", test(event.TypeAlertOpened, nil))
	failure(t, err, manage.CodeNotFound)
	_, err = s.Test(t.Context(), manage.By{Tenant: "globex"}, "a", test(event.TypeAlertOpened, nil))
	failure(t, err, manage.CodeNotFound)
	for field, in := range map[string]manage.TestInput{"/event_type": {}, "/event": {Event: json.RawMessage(`{"data": 1}`)}} {
		_, err = s.Test(t.Context(), priya, "a", in)
		assert.Equal(t, field, failure(t, err, manage.CodeFields).Fields[0].Pointer)
	}
}

// A test has stored secrets sent to the destination that they are stored for, and to no other.
func TestTestKeepsSecretsForTheSameDestinationOnly(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	c := create(t, s, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "` + r.url + `/mine", "auth": {"kind": "bearer", "token": "not-a-real-token"}}`)})
	unsaved := func(url, name string) manage.TestInput {
		text := strings.Replace(string(c.Channel), r.url+"/[redacted]", url, 1)
		return test(event.TypeGrantActive, &manage.ChannelInput{Channel: json.RawMessage(strings.Replace(text, `"name": "a"`, `"name": "`+name+`"`, 1))})
	}
	result, err := s.Test(t.Context(), priya, "a", unsaved(r.url+"/[redacted]", "a"))
	require.NoError(t, err)
	assert.True(t, result.OK)
	assert.Equal(t, "Bearer not-a-real-token", r.next(t).header.Get("Authorization"))
	for _, in := range []manage.TestInput{unsaved(r.url+"/theirs", "a"), unsaved(newReceiver(t).url, "a"), unsaved(r.url+"/mine", "copy")} {
		_, err = s.Test(t.Context(), priya, "", in)
		assert.Equal(t, "/channel/auth/token", failure(t, err, manage.CodeFields).Fields[0].Pointer)
	}
	_, err = s.Test(t.Context(), priya, "a", unsaved(r.url+"/mine", "copy"))
	assert.Equal(t, "/channel/name", failure(t, err, manage.CodeFields).Fields[0].Pointer, "it is another channel than the one that is named")
	assert.Empty(t, r.got)
}

// What a receiver on a network that is not public answers is shown only if the host wants it.
func TestResponsesOfOtherNetworksAreNotShown(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	in := test(event.TypeGrantActive, &manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "network": "lab", "url": "` + r.url + `"}`)})
	for _, show := range []bool{false, true} {
		o := options(t, manage.NewMemory())
		o.ShowResponses = show
		s := start(t, o)
		result, err := s.Test(t.Context(), priya, "", in)
		require.NoError(t, err)
		assert.Equal(t, 200, result.Status)
		assert.Equal(t, show, len(result.Response.Body) > 0)

		create(t, s, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "inside", "network": "lab", "url": "` + r.url + `"}`)})
		create(t, s, priya, webhook("outside", r.url, ""))
		dispatch(t, s, "acme")
		var found []history.Entry
		eventually(t, func() bool {
			found, err = s.History(t.Context(), "acme", manage.HistoryQuery{})
			return err != nil || len(found) == 2
		}, "two entries")
		require.NoError(t, err)
		for _, e := range found {
			assert.Equal(t, 200, e.Status)
			assert.NotEmpty(t, e.Response.Start)
			assert.Equal(t, show || e.Route.Name == "outside", len(e.Response.Body) > 0, e.Route.Name)
		}
	}
}

func TestTestsAreLimited(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, webhook("a", r.url, ""))
	for range 10 {
		_, err := s.Test(t.Context(), priya, "a", test(event.TypeGrantActive, nil))
		require.NoError(t, err)
	}
	_, err := s.Test(t.Context(), priya, "a", test(event.TypeGrantActive, nil))
	assert.Positive(t, failure(t, err, manage.CodeRate).RetryAfter)
	create(t, s, manage.By{Tenant: "globex"}, webhook("a", r.url, ""))
	_, err = s.Test(t.Context(), manage.By{Tenant: "globex"}, "a", test(event.TypeGrantActive, nil))
	require.NoError(t, err, "another tenant's tests do not count")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, manage.NewMemory()))
	create(t, s, priya, webhook("hook", "https://hooks.example", ""))
	_, err := s.Check(t.Context(), "acme", "hook")
	failure(t, err, manage.CodeUnsupported)
	_, err = s.Check(t.Context(), "acme", "nobody")
	failure(t, err, manage.CodeNotFound)
	create(t, s, priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "email", "name": "mail", "smtp_host": "127.0.0.1", "smtp_port": 587, "from_address": "a@example.com", "to_addresses": ["b@example.com"]}`)})
	result, err := s.Check(t.Context(), "acme", "mail")
	require.NoError(t, err)
	assert.False(t, result.OK)
	assert.Contains(t, result.Message, "connect")
}
