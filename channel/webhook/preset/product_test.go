package preset_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/preset"
	"github.com/tocsin-go/tocsin/event"
)

// Credentials, each at least as long as the product's are.
const (
	sendGridKey   = "SG.k3y-0123456789abcdef.0123456789abcdef"
	routingKey    = "R0UT1NGK3Y0123456789ABCDEF012345"
	teamsPath     = "/workflows/3f1c/triggers/manual/paths/invoke"
	teamsSig      = "S1GNATURE-0123456789_abcdef"
	discordPath   = "/api/webhooks/223704706495545344/T0KEN-3d89bb7572e0fb30d8128367b3b1b44f"
	jiraToken     = "ATATT3xFfGF0-jira-token-0123456789"
	serviceNowKey = "pa55-servicenow-0123456789"
	splunkToken   = "B5A79AAD-D822-46CC-80D1-819F80D7BFB0"
	datadogKey    = "9775a026f1ca7d1c6c5af9d94d9595a4"
)

// product is one preset with what a test has to know of it.
type product struct {
	name   string
	config func() webhook.Config
	path   string   // with the query, as it has to arrive
	secret []string // the credentials in config
	check  func(t *testing.T, e event.Event, body []byte)
	taken  answer // what the product answers when it takes an event
	id     string // the product's own id in that response
	fixed  []string
	title  string // where in a body people look first
}

// answer is what a receiver says.
type answer struct {
	status int
	header map[string]string
	body   string
}

func products() []product {
	from, to := mail.Address{Name: "PAM", Address: "pam@example.com"}, mail.Address{Name: "On call", Address: "on-call@example.com"}
	return []product{{
		name: "sendgrid",
		config: func() webhook.Config {
			return preset.SendGrid(secret.Literal(sendGridKey), from, to, mail.Address{Address: "audit@example.com"})
		},
		path: "/v3/mail/send", secret: []string{sendGridKey}, check: checkSendGrid,
		taken: answer{202, map[string]string{"X-Message-Id": "14c5d75ce93.dfd.64b469"}, ""}, id: "14c5d75ce93.dfd.64b469",
		fixed: []string{"personalizations", "from", "headers", "tracking_settings"},
		title: "subject",
	}, {
		name:   "pagerduty",
		config: func() webhook.Config { return preset.PagerDuty(secret.Literal(routingKey)) },
		path:   "/v2/enqueue", secret: []string{routingKey}, check: checkPagerDuty,
		taken: answer{202, nil, `{"status":"success","message":"Event processed","dedup_key":"AR-2047"}`}, id: "AR-2047",
		fixed: []string{"routing_key", "event_action", "links"},
		title: "payload.summary",
	}, {
		name:   "teams",
		config: func() webhook.Config { return preset.Teams("https://x" + teamsPath + "?api-version=1&sig=" + teamsSig) },
		path:   teamsPath + "?api-version=1&sig=" + teamsSig, secret: []string{teamsSig}, check: checkTeams,
		taken: answer{202, nil, ""},
		fixed: []string{"type"},
		title: "attachments.0.content.body.0.inlines.0.text",
	}, {
		name:   "discord",
		config: func() webhook.Config { return preset.Discord("https://x" + discordPath) },
		path:   discordPath + "?wait=true", secret: []string{discordPath}, check: checkDiscord,
		taken: answer{200, nil, `{"id":"1199737254929760256","content":""}`}, id: "1199737254929760256",
		fixed: []string{"allowed_mentions"},
		title: "embeds.0.title",
	}, {
		name: "jira",
		config: func() webhook.Config {
			return preset.Jira("https://x/", webhook.Basic("pam@example.com", secret.Literal(jiraToken)), "PAM", "Task")
		},
		path: "/rest/api/3/issue", secret: []string{jiraToken}, check: checkJira,
		taken: answer{201, nil, `{"id":"10000","key":"PAM-24","self":"https://x/rest/api/3/issue/10000"}`}, id: "PAM-24",
		fixed: []string{"fields.project", "fields.issuetype"},
		title: "fields.summary",
	}, {
		name: "servicenow",
		config: func() webhook.Config {
			return preset.ServiceNow("https://x", webhook.Basic("pam", secret.Literal(serviceNowKey)))
		},
		path: "/api/now/table/incident?sysparm_fields=sys_id,number", secret: []string{serviceNowKey}, check: checkServiceNow,
		taken: answer{201, nil, `{"result":{"sys_id":"d977b66a4f411200adf9f8e18110c7b2","number":"INC0010001"}}`},
		id:    "d977b66a4f411200adf9f8e18110c7b2",
		fixed: []string{"impact", "urgency", "correlation_id", "correlation_display"},
		title: "short_description",
	}, {
		name:   "splunk",
		config: func() webhook.Config { return preset.Splunk("https://x", secret.Literal(splunkToken)) },
		path:   "/services/collector/event", secret: []string{splunkToken}, check: checkSplunk,
		taken: answer{200, nil, `{"text":"Success","code":0}`},
		fixed: []string{"time", "source", "sourcetype"},
		title: "fields.title",
	}, {
		name:   "datadog",
		config: func() webhook.Config { return preset.Datadog(secret.Literal(datadogKey)) },
		path:   "/api/v1/events", secret: []string{datadogKey}, check: checkDatadog,
		taken: answer{202, nil, `{"status":"ok","event":{"id":7412345678901234567,"title":"x"}}`}, id: "7412345678901234567",
		fixed: []string{"alert_type", "priority", "aggregation_key", "tags"},
		title: "title",
	}}
}

// each runs f for every product, in parallel.
func each(t *testing.T, f func(t *testing.T, p product)) {
	t.Helper()
	for _, p := range products() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			f(t, p)
		})
	}
}

// at points c to a receiver on this machine, behind the path that the preset gave it.
func at(t testing.TB, c webhook.Config, receiver string) webhook.Config {
	t.Helper()
	_, rest, ok := strings.Cut(c.URL, "://")
	require.True(t, ok)
	path := ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		path = rest[i:]
	}
	c.URL = receiver + path
	c.Limits.AllowInsecureHTTP = true
	g, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	c.Guard = g
	return c
}

func open(t testing.TB, c webhook.Config, receiver string) *webhook.Channel {
	t.Helper()
	hook, err := webhook.New(at(t, c, receiver))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	return hook
}

// received is what a receiver saw of a request.
type received struct {
	uri    string
	header http.Header
	body   []byte
}

// receive starts a receiver that gives every request the response a and passes on what it got.
func receive(t testing.TB, a answer) (string, <-chan received) {
	t.Helper()
	requests := make(chan received, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		select {
		case requests <- received{r.RequestURI, r.Header, b}:
		default:
		}
		for name, value := range a.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL, requests
}

// sender returns a function that sends an event with p to a receiver that takes it, and returns what arrived.
func sender(t *testing.T, p product) func(e event.Event) received {
	t.Helper()
	receiver, requests := receive(t, p.taken)
	hook := open(t, p.config(), receiver)
	return func(e event.Event) received {
		_, err := hook.Send(t.Context(), delivery(e))
		require.NoError(t, err, e.Type())
		return <-requests
	}
}

func delivery(e event.Event) channel.Delivery {
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
}

func sample(t testing.TB, typ event.Type) event.Event {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok)
	return e
}

// payload is an event with any data.
type payload struct {
	typ  event.Type
	data any
}

func (p payload) EventType() event.Type        { return p.typ }
func (p payload) MarshalJSON() ([]byte, error) { return json.Marshal(p.data) }

// made returns an event of any type, also one that New keeps for the library's own payloads.
func made(t testing.TB, typ event.Type, data any, m event.Meta) event.Event {
	t.Helper()
	const standIn = "host.stand_in"
	e, err := event.New(payload{standIn, data}, m)
	require.NoError(t, err)
	e, err = event.Parse(bytes.Replace(e.JSON(), []byte(standIn), []byte(typ), 1))
	require.NoError(t, err)
	return e
}

func TestAProductTakesAnEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		receiver, requests := receive(t, p.taken)
		hook := open(t, p.config(), receiver)
		receipt, err := hook.Send(t.Context(), delivery(sample(t, event.TypeRequestPending)))
		require.NoError(t, err)
		assert.Equal(t, p.id, receipt.ProviderID)
		assert.False(t, receipt.OutcomeUnknown)
		got := <-requests
		assert.Equal(t, p.path, got.uri)
		assert.Equal(t, "application/json", got.header.Get("Content-Type"))
		for _, s := range p.secret {
			assert.NotContains(t, string(receipt.Request.Body), s)
			assert.NotContains(t, receipt.Request.Start, s)
		}
	})
}

func TestHowProductsAuthenticate(t *testing.T) {
	t.Parallel()
	want := map[string]http.Header{
		"sendgrid":   {"Authorization": {"Bearer " + sendGridKey}},
		"jira":       {"Authorization": {"Basic cGFtQGV4YW1wbGUuY29tOkFUQVRUM3hGZkdGMC1qaXJhLXRva2VuLTAxMjM0NTY3ODk="}, "Accept": {"application/json"}},
		"servicenow": {"Authorization": {"Basic cGFtOnBhNTUtc2VydmljZW5vdy0wMTIzNDU2Nzg5"}, "Accept": {"application/json"}},
		"splunk":     {"Authorization": {"Splunk " + splunkToken}},
		"datadog":    {"Dd-Api-Key": {datadogKey}},
		"pagerduty":  {}, "teams": {}, "discord": {},
	}
	each(t, func(t *testing.T, p product) {
		got := sender(t, p)(sample(t, event.TypeRequestPending)).header
		for _, name := range []string{"Authorization", "Dd-Api-Key", "Accept"} {
			assert.Equal(t, want[p.name][name], got[name], name)
		}
	})
}

// The addresses are those of the vendors' pages, and everything can be said over.
func TestWhereProductsAre(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "https://api.sendgrid.com/v3/mail/send", preset.SendGrid(secret.Value{}, mail.Address{}, mail.Address{}).URL)
	assert.Equal(t, "https://events.pagerduty.com/v2/enqueue", preset.PagerDuty(secret.Value{}).URL)
	assert.Equal(t, "https://api.datadoghq.com/api/v1/events", preset.Datadog(secret.Value{}).URL)
	assert.Equal(t, "https://a.example/rest/api/3/issue", preset.Jira("https://a.example", webhook.Auth{}, "P", "T").URL)
	assert.Equal(t, "https://a.example:8088/services/collector/event", preset.Splunk("https://a.example:8088/", secret.Value{}).URL)
	assert.Equal(t, "https://d.example/x?wait=true", preset.Discord("https://d.example/x").URL)
	assert.Equal(t, "https://d.example/x?thread_id=7&wait=true", preset.Discord("https://d.example/x?thread_id=7").URL)
	assert.Equal(t, "https://d.example/x?wait=false", preset.Discord("https://d.example/x?wait=false").URL)
}

// TestWhatIsMissingIsFoundByNew: a preset cannot fail, so New has to say what was not given.
func TestWhatIsMissingIsFoundByNew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]webhook.Config{
		"key":         preset.SendGrid(secret.Value{}, mail.Address{}, mail.Address{}),
		"routing key": preset.PagerDuty(secret.Value{}),
		"url":         preset.Teams(""),
		"discord url": preset.Discord("discord"),
		"site":        preset.Jira("", webhook.Auth{}, "P", "T"),
		"http site":   preset.ServiceNow("http://a.example", webhook.Auth{}),
		"token":       preset.Splunk("https://a.example", secret.Value{}),
	} {
		_, err := webhook.New(c)
		_, ok := errors.AsType[*channel.ConfigError](err)
		assert.True(t, ok, "%s: %v", name, err)
	}
}

// Every preset is in the table, and so in every test of this package.
func TestEveryPresetIsTested(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var presets, tested []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() && !strings.HasSuffix(name, "_test.go") {
				presets = append(presets, strings.ToLower(f.Name.Name))
			}
		}
	}
	for _, p := range products() {
		tested = append(tested, p.name)
	}
	assert.ElementsMatch(t, presets, tested)
}
