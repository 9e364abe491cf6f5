package presets

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/preset"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compile reads a vendor's schema.
func compile(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // nothing may be fetched
	require.NoError(t, c.AddResource("mem:///schema.json", decode(t, b)))
	s, err := c.Compile("mem:///schema.json")
	require.NoError(t, err)
	return s
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return v
}

// sender returns a function that sends an event with c, to a receiver on this machine that answers status, and returns
// the body that arrived.
func sender(t *testing.T, c webhook.Config, status int) func(e event.Event) []byte {
	t.Helper()
	bodies := make(chan []byte, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		bodies <- b
		w.WriteHeader(status)
	}))
	t.Cleanup(func() { receiver.CloseClientConnections(); receiver.Close() })
	var err error
	c.Guard, err = netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	c.Limits.AllowInsecureHTTP = true
	c.URL = receiver.URL
	hook, err := webhook.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	return func(e event.Event) []byte {
		_, err := hook.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "r"}, Attempt: 1})
		require.NoError(t, err)
		return <-bodies
	}
}

// descriptionOf returns the document in an issue's body.
func descriptionOf(t *testing.T, body []byte) any {
	t.Helper()
	issue, ok := decode(t, body).(map[string]any)
	require.True(t, ok)
	fields, ok := issue["fields"].(map[string]any)
	require.True(t, ok)
	return fields["description"]
}

// TestS63_JiraDescriptionsAreADF validates the description of every event type, of hostile and longest texts, and of an
// event with next to no data.
func TestS63_JiraDescriptionsAreADF(t *testing.T) {
	t.Parallel()
	schema := compile(t, "adf.json")
	send := sender(t, preset.Jira("https://example.atlassian.net", webhook.Basic("a@example.com", secret.Literal("0123456789")), "PAM", "Task"), 201)
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		require.NoError(t, schema.Validate(descriptionOf(t, send(e))), typ)
		empty, err := event.Parse([]byte(`{"id":"e-1","event_type":"` + string(typ) + `","event_time":1700000000,"data":{}}`))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(descriptionOf(t, send(empty))), typ)
	}
	for _, text := range []string{
		"\"}]}", "\n\n\na\n\n\nb\r\n", "\x00\u202e\u200d", strings.Repeat("😀", 5000), strings.Repeat("a\n", 5000), strings.Repeat("\\", 9000),
		"[~accountid:1] @x {code} <b>", "https://evil.example",
	} {
		e := event.Must(event.RequestPending{AccessRequest: event.AccessRequest{
			FriendlyID: text, Requester: event.Person{Name: text, Email: text}, Justification: text, AccessFlow: event.Reference{Name: text},
			Approvals: []event.Approval{{Name: text, Status: event.ApprovalPending}}, URL: "https://access.example.com/" + strings.Repeat("x", 1500),
		}}, event.Meta{Tenant: "acme"})
		require.NoError(t, schema.Validate(descriptionOf(t, send(e))), text)
	}
}

// TestTheSchemaCanRefuse shows that the oracle looks at what matters here.
func TestTheSchemaCanRefuse(t *testing.T) {
	t.Parallel()
	schema := compile(t, "adf.json")
	for name, document := range map[string]string{
		"an empty text":          `{"version":1,"type":"doc","content":[{"type":"paragraph","content":[{"type":"text","text":""}]}]}`,
		"no version":             `{"type":"doc","content":[]}`,
		"text outside":           `{"version":1,"type":"doc","content":[{"type":"text","text":"x"}]}`,
		"a row of text":          `{"version":1,"type":"doc","content":[{"type":"table","content":[{"type":"tableRow","content":[{"type":"text","text":"x"}]}]}]}`,
		"a link without address": `{"version":1,"type":"doc","content":[{"type":"paragraph","content":[{"type":"text","text":"x","marks":[{"type":"link"}]}]}]}`,
		"an unknown node":        `{"version":1,"type":"doc","content":[{"type":"script","content":[]}]}`,
	} {
		assert.Error(t, schema.Validate(decode(t, []byte(document))), name)
	}
}
