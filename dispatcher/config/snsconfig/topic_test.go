package snsconfig_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/config/snsconfig"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	arn   = "arn:aws:sns:eu-west-1:123456789012:access-events"
	keyID = "AKIAONLYFORATEST"
	key   = "only-for-a-test"
)

// published is what the service was asked.
type published struct {
	form   url.Values
	signer string // id of the access key
}

// service takes everything that is signed; package sns tests what SNS does else.
func service(t *testing.T) (string, <-chan published) {
	t.Helper()
	got := make(chan published, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, err := url.ParseQuery(string(body))
		assert.NoError(t, err)
		_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		signer, _, _ := strings.Cut(credential, "/")
		got <- published{form, signer}
		fmt.Fprint(w, "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>")
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func options(t *testing.T, of config.Type) config.Options {
	t.Helper()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	return config.Options{
		Types:    config.NewRegistry(map[string]config.Type{"sns": of}),
		Networks: map[string]*netguard.Guard{"here": guard},
		Limits:   map[string]netguard.Limits{"here": {AllowInsecureHTTP: true}},
	}
}

// document is one topic; the lines after its name begin in the fifth.
func document(lines ...string) string {
	return "channels:\n  - type: sns\n    name: siem\n    topic_arn: " + arn + "\n    " + strings.Join(lines, "\n    ") +
		"\nroutes:\n  - {name: siem, channel: siem}\n"
}

func local(endpoint string, lines ...string) string {
	return document(append([]string{"network: here", "limits: here", "endpoint: " + endpoint}, lines...)...)
}

func send(t *testing.T, set *config.Set) {
	t.Helper()
	e := event.Must(event.RequestPending{AccessRequest: event.AccessRequest{
		ID: "4f1c", FriendlyID: "AR-2047", Justification: "say \"please\"",
	}}, event.Meta{Tenant: "acme", Attributes: map[string]string{"region": "emea"}})
	_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "siem"}, Attempt: 1})
	require.NoError(t, err)
}

func load(t *testing.T, doc string, o config.Options) *config.Set {
	t.Helper()
	set, err := config.Load("routes.yaml", []byte(doc), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, set.Close()) })
	return set
}

// TestStyle2TopicIsNameAndARN has nothing else: the operator's credentials sign.
func TestStyle2TopicIsNameAndARN(t *testing.T) {
	t.Parallel()
	endpoint, got := service(t)
	operators := snsconfig.TypeWith(sns.Static(secret.Literal(keyID), secret.Literal(key), secret.Value{}))
	send(t, load(t, local(endpoint), options(t, operators)))
	p := <-got
	assert.Equal(t, arn, p.form.Get("TopicArn"))
	assert.Equal(t, keyID, p.signer)
	assert.Contains(t, p.form.Get("Message"), `"event_type":"request.pending"`)

	load(t, "channels:\n  - {type: sns, name: siem, topic_arn: \""+arn+"\"}\n", options(t, snsconfig.TypeWith(sns.Credentials{})))
}

func TestEveryFieldIsUsed(t *testing.T) {
	t.Parallel()
	endpoint, got := service(t)
	fifo := strings.ReplaceAll(local(endpoint,
		"access_key_id: literal:"+keyID,
		"secret_access_key: "+key,
		"template: '{{data.friendly_id}}: {{data.justification}}'",
		"format: text",
		"subject: 'Request {{data.friendly_id}}'",
		"group: '{{tenant}}-requests'",
		"attributes:",
		"  - {name: region}",
		"  - {name: who, template: '{{data.friendly_id}}!'}",
	), arn, arn+".fifo")
	shared := sns.Static(secret.Literal("AKIAOTHER"), secret.Literal("other"), secret.Value{})
	for _, of := range []config.Type{snsconfig.Type(), snsconfig.TypeWith(shared)} {
		send(t, load(t, fifo, options(t, of)))
		p := <-got
		assert.Equal(t, keyID, p.signer, "the document's own key comes first")
		assert.Equal(t, `AR-2047: say "please"`, p.form.Get("Message"))
		assert.Equal(t, "Request AR-2047", p.form.Get("Subject"))
		assert.Equal(t, "acme-requests", p.form.Get("MessageGroupId"))
		values := map[string]string{}
		for i := 1; p.form.Has(fmt.Sprintf("MessageAttributes.entry.%d.Name", i)); i++ {
			entry := fmt.Sprintf("MessageAttributes.entry.%d.", i)
			values[p.form.Get(entry+"Name")] = p.form.Get(entry + "Value.StringValue")
		}
		assert.Equal(t, "emea", values["region"])
		assert.Equal(t, "AR-2047!", values["who"])
	}
}

// Topics are called through the proxy that they name.
func TestAProxyByName(t *testing.T) {
	t.Parallel()
	proxy, got := service(t)
	o := options(t, snsconfig.Type())
	o.Proxies = map[string]*netguard.Proxy{"corporate": {URL: proxy, Profile: netguard.Profile{Loopback: true}}}
	send(t, load(t, local("http://127.0.0.1:9", "access_key_id: "+keyID, "secret_access_key: "+key, "proxy: corporate"), o))
	assert.Equal(t, arn, (<-got).form.Get("TopicArn"))
}

// TestKeysStayWithTheirTopic shows a document without them, which keeps them as long as it publishes to the same topic.
func TestKeysStayWithTheirTopic(t *testing.T) {
	t.Parallel()
	endpoint, got := service(t)
	o := options(t, snsconfig.Type())
	first := load(t, local(endpoint, "access_key_id: "+keyID, "secret_access_key: "+key), o)
	shown := string(first.Document.YAML())
	assert.NotContains(t, shown, keyID)
	assert.NotContains(t, shown, key)

	o.Stored = first.Document
	send(t, load(t, shown, o))
	assert.Equal(t, keyID, (<-got).signer)
	for _, change := range []*strings.Replacer{
		strings.NewReplacer(arn, arn+"-of-somebody-else"),
		strings.NewReplacer(endpoint, "http://127.0.0.1:1"),
	} {
		_, err := config.Load("routes.yaml", []byte(change.Replace(shown)), o)
		assert.ErrorContains(t, err, "channels[0].secret_access_key")
	}
}

// TestMistakesAreInTheDocumentsWords loads documents with one mistake each; the key must be in no error.
func TestMistakesAreInTheDocumentsWords(t *testing.T) {
	t.Parallel()
	keys := []string{"access_key_id: " + keyID, "secret_access_key: " + key}
	operators := snsconfig.TypeWith(sns.Static(secret.Literal(keyID), secret.Literal(key), secret.Value{}))
	for _, c := range []struct {
		name, doc, want string
		of              config.Type
	}{
		{"no key", document("limits: here"), "routes.yaml:2:5: channels[0].access_key_id is missing", snsconfig.Type()},
		{"half a key", document(keys[0]), "routes.yaml:2:5: channels[0].secret_access_key is missing beside access_key_id; give both, or neither", operators},
		{"the other half", document(keys[1]), "routes.yaml:2:5: channels[0].access_key_id is missing beside secret_access_key; give both, or neither", operators},
		{"a line feed in a key", document(keys[0], `secret_access_key: "`+key+`\n"`),
			"routes.yaml:6:24: channels[0].secret_access_key holds a character that it cannot have; correct it", snsconfig.Type()},
		{"no ARN", strings.Replace(document(keys...), "arn:aws", "aws", 1), "routes.yaml:4:16: channels[0].topic_arn ", snsconfig.Type()},
		{"no such region", strings.Replace(document(keys...), "eu-west-1", "EU_WEST", 1), "routes.yaml:4:16: channels[0].topic_arn ", snsconfig.Type()},
		{"an endpoint with a path", document(append(keys, "endpoint: https://sns.example.com/queue")...),
			"routes.yaml:7:15: channels[0].endpoint has a path or a query; give scheme, host and port only", snsconfig.Type()},
		{"an endpoint without TLS", document(append(keys, "endpoint: http://sns.example.com")...), "routes.yaml:7:15: channels[0].endpoint ", snsconfig.Type()},
		{"a template that is none", document(append(keys, "subject: '{{data.'")...), "routes.yaml:7:14: channels[0].subject ", snsconfig.Type()},
		{"a misspelt format", document(append(keys, "format: yaml")...), "routes.yaml:7:13: channels[0].format ", snsconfig.Type()},
		{"an attribute's template", document(append(keys, "attributes:", "  - {name: who, template: '{{'}")...),
			"routes.yaml:8:31: channels[0].attributes[0].template ", snsconfig.Type()},
		{"an attribute that all have", document(append(keys, "attributes:", "  - {name: who}", "  - {name: tenant}")...),
			"routes.yaml:9:16: channels[0].attributes[1].name is the name of an attribute that every message has; choose another one", snsconfig.Type()},
		{"five attributes", document(append(keys, "attributes: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]")...),
			"routes.yaml:7:17: channels[0].attributes ", snsconfig.Type()},
		{"a misspelt field", document(append(keys, "end_point: x")...), "routes.yaml:7:5: channels[0].end_point is not a field; did you mean endpoint?", snsconfig.Type()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load("routes.yaml", []byte(c.doc), options(t, c.of))
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), key)
			assert.NotContains(t, err.Error(), keyID)
		})
	}
}

func TestSchemaDescribesTopics(t *testing.T) {
	t.Parallel()
	schema := config.Schema(config.NewRegistry(map[string]config.Type{"sns": snsconfig.Type()}))
	assert.True(t, json.Valid(schema))
	assert.Contains(t, string(schema), `"topic_arn"`)
}

func TestAllMistakesOfATopicAreReported(t *testing.T) {
	t.Parallel()
	doc := strings.Replace(document("access_key_id: "+keyID, "subject: '{{'", "group: '{{#if x}}'", "endpoint: http://sns.example.com"), "arn:aws", "aws", 1)
	operators := snsconfig.TypeWith(sns.Static(secret.Literal(keyID), secret.Literal(key), secret.Value{}))
	_, err := config.Load("routes.yaml", []byte(doc), options(t, operators))
	for _, field := range []string{"topic_arn", "secret_access_key", "subject", "group", "endpoint"} {
		require.ErrorContains(t, err, "channels[0]."+field+" ")
	}
}
