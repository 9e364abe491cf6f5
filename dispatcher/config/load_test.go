package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// lab are options with a network and limits for receivers on this machine.
func lab(t *testing.T) config.Options {
	t.Helper()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	return config.Options{
		Networks: map[string]*netguard.Guard{"lab": guard},
		Limits:   map[string]netguard.Limits{"lab": {AllowInsecureHTTP: true}},
	}
}

// labHook is a document with one webhook to url.
func labHook(url, channelFields string) string {
	return hook("network: lab\nlimits: lab\nurl: "+url+"\n"+channelFields, "")
}

// What a document describes delivers, through an engine and over a real connection.
func TestALoadedDocumentDelivers(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Subject"), r.Form.Encode())
	}))
	t.Cleanup(receiver.Close)
	set := load(t, "a.yaml", labHook(receiver.URL+"/in/{key}", `
masks: [{replacement: "{key}", value: secret-key}]
auth: {kind: bearer, token: secret-token}
headers: [{name: X-Subject, template: "{{subject}}"}]
body: {kind: form, custom_fields: true}`), lab(t))
	engine, err := dispatcher.New(dispatcher.Config{Routes: set.Routes})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(t.Context()) }()
	e := event.Must(event.SessionStarted{}, event.Meta{Subject: "S1", Attributes: map[string]string{"cost_center": "4711"}})
	require.NoError(t, engine.Dispatch(t.Context(), e))
	assert.Equal(t, fmt.Sprintf("POST /in/secret-key Bearer secret-token S1 cost_center=4711&event=session.started&lsid=&timestamp=%d&version=1", e.Time().Unix()), <-got)
	require.NoError(t, engine.Shutdown(t.Context()))
	require.NoError(t, <-ended)
}

func TestStyle3CustomFieldsOnOrOff(t *testing.T) {
	t.Parallel()
	forms := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		forms <- r.Form.Get("cost_center")
	}))
	t.Cleanup(receiver.Close)
	e := event.Must(event.SessionStarted{}, event.Meta{Attributes: map[string]string{"cost_center": "4711"}})
	for custom, want := range map[string]string{"true": "4711", "false": ""} {
		set := load(t, "a.yaml", labHook(receiver.URL, "body: {kind: form, custom_fields: "+custom+"}"), lab(t))
		_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "route"}, Attempt: 1})
		require.NoError(t, err)
		assert.Equal(t, want, <-forms, custom)
	}
}

// What an answer means is as the document says: style 3 wants 200 and tries again after everything else, style 5 tries
// again after 5xx, 408 and 429 only.
func TestStyle3And5WhatAnswersMean(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.WriteHeader(status)
	}))
	t.Cleanup(receiver.Close)
	const taken, again, final = retry.VerdictSuccess, retry.VerdictTransient, retry.VerdictPermanent
	for fields, want := range map[string]map[int]retry.Verdict{
		"":                                      {200: taken, 204: taken, 301: again, 400: final, 404: again, 422: final, 408: again, 425: again, 429: again, 500: again, 503: again},
		"success: [200]\nretry_statuses: [all]": {200: taken, 204: again, 301: again, 400: again, 404: again, 429: again, 500: again},
		"retry_statuses: [5xx, 408, 429]":       {200: taken, 204: taken, 400: final, 408: again, 425: final, 429: again, 500: again, 599: again},
		"success: [202, 204]\nretry_statuses: []": {202: taken, 204: taken, 200: final, 404: final, 429: final, 503: final},
	} {
		for status, verdict := range want {
			set := load(t, "a.yaml", labHook(fmt.Sprintf("%s/%d", receiver.URL, status), fields), lab(t))
			_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: sample(t, event.TypeRequestPending), Route: channel.RouteID{Name: "route"}, Attempt: 1})
			assert.Equal(t, verdict, retry.Classify(t.Context(), err).Verdict, "%q: %d", fields, status)
		}
	}
}

// Loading connects to nothing, whatever type of channel.
func TestLoadingNeverConnects(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var connected atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			_ = c.Close()
		}
	}()
	host := listener.Addr().String()
	set, err := config.Load("a.yaml", []byte(fmt.Sprintf(`
channels:
  - {type: webhook, name: a, network: lab, limits: lab, url: "http://%[1]s/x"}
  - {type: webhook, name: b, network: lab, limits: lab, url: "http://%[1]s/x", preset: {product: pagerduty, routing_key: not-a-real-key}}
  - {type: slack, name: c, network: lab, limits: lab, url: "http://%[1]s/x"}
  - {type: slack, name: d, network: lab, limits: lab, token: not-a-real-token, channel: C024BE91L, api: "http://%[1]s/api"}
  - {type: email, name: e, network: lab, smtp_host: 127.0.0.1, from_address: a@example.com, to_addresses: [b@example.com]}
`, host)), lab(t))
	require.NoError(t, err)
	require.NoError(t, set.Close())
	require.NoError(t, listener.Close())
	<-done
	assert.Zero(t, connected.Load())
}

// The presets make channels by their names.
func TestPresetsByName(t *testing.T) {
	t.Parallel()
	for fields, origin := range map[string]string{
		"preset: {product: datadog, api_key: not-a-real-key}":                                                                                                               "https://api.datadoghq.com",
		"preset: {product: datadog, api_key: not-a-real-key}\nurl: https://api.datadoghq.eu/api/v1/events":                                                                  "https://api.datadoghq.eu",
		"preset: {product: discord}\nurl: https://discord.com/api/webhooks/1/x":                                                                                             "https://discord.com",
		"preset: {product: jira, project: PAM, issue_type: Task}\nurl: https://example.atlassian.net\nauth: {kind: basic, user: a@example.com, password: not-a-real-token}": "https://example.atlassian.net",
		"preset: {product: pagerduty, routing_key: not-a-real-key}":                                                                                                         "https://events.pagerduty.com",
		"preset: {product: sendgrid, api_key: not-a-real-key, from: A <a@example.com>, to: [b@example.com]}":                                                                "https://api.sendgrid.com",
		"preset: {product: servicenow}\nurl: https://example.service-now.com\nauth: {kind: bearer, token: not-a-real-token}":                                                "https://example.service-now.com",
		"preset: {product: splunk, token: not-a-real-token}\nurl: https://splunk.example.com:8088":                                                                          "https://splunk.example.com:8088",
		"preset: {product: teams}\nurl: https://prod-1.westeurope.logic.azure.com/workflows/x?sig=y":                                                                        "https://prod-1.westeurope.logic.azure.com",
	} {
		src := "channels:\n  - type: webhook\n    name: hook\n    " + strings.ReplaceAll(fields, "\n", "\n    ") + "\nroutes: [{name: route, channel: hook}]\n"
		assert.Contains(t, fmt.Sprint(one(t, src).Channel), origin, fields)
	}
}

// closing is a channel that counts how often it is closed.
type closing struct {
	channel.Func
	closed *atomic.Int32
}

func (c closing) Close() error {
	c.closed.Add(1)
	return errors.New("said once")
}

// Channels are closed with the Set, and also when something else in the document is wrong; there is no Set then.
func TestChannelsAreClosed(t *testing.T) {
	t.Parallel()
	var closed atomic.Int32
	o := config.Options{Types: config.NewRegistry(map[string]config.Type{"closing": {Make: func(config.Settings, config.Environment) (channel.Channel, error) {
		return closing{channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }), &closed}, nil
	}}})}
	set, err := config.Load("a.yaml", []byte("channels: [{type: closing, name: a}, {type: closing, name: b}]"), o)
	require.NoError(t, err)
	assert.Zero(t, closed.Load())
	require.EqualError(t, set.Close(), "said once\nsaid once")
	assert.EqualValues(t, 2, closed.Load())
	require.NoError(t, set.Close())
	assert.EqualValues(t, 2, closed.Load())
	_, err = config.Load("a.yaml", []byte("channels: [{type: closing, name: a}]\nroutes: [{name: r, channel: b}]"), o)
	require.Error(t, err)
	assert.EqualValues(t, 3, closed.Load())
}

// Documents of whatever size, depth or number of aliases are refused before they cost much.
func TestHostileDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, src, want string }{
		"large":          {"a.yaml", "x: " + strings.Repeat("y", 1<<20), "has more than 1048576 bytes"},
		"deep YAML flow": {"a.yaml", "x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested too deeply"},
		"deep YAML":      {"a.yaml", "x:\n" + strings.Repeat("- ", 5000) + "y", "nested too deeply"},
		"deep JSON":      {"a.json", `{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", "nested too deeply"},
		"many nodes":     {"a.json", `{"x":[` + strings.Repeat("0,", 200_000) + "0]}", "becomes too large here"},
		"many problems":  {"a.yaml", strings.Repeat("x: 1\n", 10_000), "has 9900 more problems"},
	} {
		_, err := config.Load(test.file, []byte(test.src), config.Options{})
		require.ErrorContains(t, err, test.want, name)
	}
	_, err := config.Load("a.yaml", []byte("routes: []"), config.Options{MaxSize: 5})
	require.EqualError(t, err, "a.yaml: the document has more than 5 bytes; split it")
}

// The format is known by the file's ending, or else by the beginning of the text.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"a.json", "A.JSON", "", "a.conf", "a.yaml", "a.yml"} {
		load(t, file, `{"routes": []}`, config.Options{})
	}
	for _, file := range []string{"", "a.conf", "a.yaml", "a.yml"} {
		load(t, file, "routes: []", config.Options{})
	}
	_, err := config.Load("a.json", []byte("routes: []"), config.Options{})
	require.ErrorContains(t, err, "a.json:1:1: the document is not valid JSON")
	load(t, "a.json", `{"$schema": "./schema.json", "channels": [{"type": "webhook", "name": "\ud83d\ude00", "url": "https:\/\/example.com"}], "routes": null}`, config.Options{})
}

// The host's own types of events can be filtered for; others that nobody makes are mistakes.
func TestTheHostsEventTypes(t *testing.T) {
	t.Parallel()
	o := config.Options{EventTypes: []event.Type{"ticket.closed"}}
	load(t, "a.yaml", hook("", "events: [ticket.closed, ticket.*, session.*, tocsin.*, '*']"), o)
	_, err := config.Load("a.yaml", []byte(hook("", "events: [ticket.opened, ticket.clsed]")), o)
	require.ErrorContains(t, err, "routes[0].events[0] names events that do not exist")
	require.ErrorContains(t, err, "routes[0].events[1] names events that do not exist; did you mean ticket.closed?")
}

// A byte order mark before a document, as some editors write it, is not part of it: places are as without.
func TestByteOrderMarks(t *testing.T) {
	t.Parallel()
	const mark = "\ufeff"
	for _, file := range []string{"a.json", "", "a.yaml"} {
		load(t, file, mark+`{"routes": []}`, config.Options{})
		_, err := config.Load(file, []byte(mark+`{"ruotes": []}`), config.Options{})
		require.ErrorContains(t, err, ":1:2: ruotes is not a field", file)
	}
	load(t, "a.yaml", mark+"routes: []\n", config.Options{})
	_, err := config.Load("a.yaml", []byte(mark), config.Options{})
	require.ErrorContains(t, err, "the document is empty")
}

// Days are what people write; they have 24 hours.
func TestTimesInDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "1d1h1m1.5s": 25*time.Hour + 61500*time.Millisecond, "0d1h": time.Hour, "168h": 7 * 24 * time.Hour,
	} {
		set := load(t, "a.yaml", hook("", "max_age: "+text), config.Options{})
		assert.Equal(t, want, set.Routes[0].MaxAge, text)
		again := load(t, "b.yaml", string(set.Document.YAML()), config.Options{Stored: set.Document})
		assert.Equal(t, want, again.Routes[0].MaxAge, text)
	}
	for text, want := range map[string]string{
		"d": "is not a time", "1.5d": "is not a time", "1h7d": "is not a time", "1dd": "is not a time", "7d-1h": "is not a time", "7d+1h": "is not a time",
		"-7d": "is not a time", "7 d": "is not a time", "0d": "is zero", "36501d": "is longer than a hundred years", "99999999d": "is longer than a hundred years",
		"99999999999999999999d": "is not a time", "1d900000h": "is longer than a hundred years",
	} {
		assert.Contains(t, refused(t, hook("", "max_age: '"+text+"'")), "routes[0].max_age "+want, text)
	}
}

// What a document does not set is the preset's: Teams takes 28 KiB, and a larger body is not sent.
func TestAPresetsLimitsStayUnlessTheDocumentHasItsOwn(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(receiver.Close)
	for fields, want := range map[string]int32{"": 0, "\nmax_body: 40000": 1, "\nmax_body: 20000": 0} {
		requests.Store(0)
		body := "preset: {product: teams}\nbody: {kind: static, text: '\"" + strings.Repeat("x", 30_000) + "\"'}" + fields
		set := load(t, "a.yaml", labHook(receiver.URL+"/x", body), lab(t))
		_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: sample(t, event.TypeRequestPending), Route: channel.RouteID{Name: "route"}, Attempt: 1})
		if want == 0 {
			e, ok := errors.AsType[*webhook.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, webhook.KindTooLarge, e.Kind)
		}
		assert.Equal(t, want, requests.Load(), fields)
	}
}

// Receivers that switch on their own words for types get those, in whatever the document makes of an event.
func TestBodiesHaveTheReceiversWords(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	}))
	t.Cleanup(receiver.Close)
	o := lab(t)
	o.Vocabularies = map[string]event.Vocabulary{"desk": {event.TypeRequestPending: "ticket opened"}}
	template := "body: {kind: template, template: '{\"t\": \"{{event_type}}\"}'}\n"
	for fields, want := range map[string]string{
		template:                                         `{"t": "request.pending"}`,
		template + "vocabulary: access_request":          `{"t": "AccessRequestCreated"}`,
		template + "vocabulary: trigger":                 `{"t": "Created"}`,
		template + "vocabulary: desk":                    `{"t": "ticket opened"}`,
		template + "vocabulary: application_access":      `{"t": "request.pending"}`,
		"body: {kind: form}\nvocabulary: access_request": "event=AccessRequestCreated&",
		"headers: [{name: X-Type, template: '{{event_type}}'}]\n" +
			template + "vocabulary: access_request": `{"t": "AccessRequestCreated"}`,
	} {
		set := load(t, "a.yaml", labHook(receiver.URL, fields), o)
		_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: sample(t, event.TypeRequestPending), Route: channel.RouteID{Name: "route"}, Attempt: 1})
		require.NoError(t, err)
		assert.Contains(t, <-bodies, want, fields)
	}
	assert.Contains(t, refused(t, hook("vocabulary: acces_request", "")), `channels[0].vocabulary is not offered by the host; name one that is; did you mean "access_request"?`)
	o.Vocabularies["desk"][event.TypeRequestDenied] = "ticket opened"
	_, err := config.Load("a.yaml", []byte(hook("", "")), o)
	require.ErrorContains(t, err, `of the host's vocabulary "desk"`)
}

// The address of a site may have a query: what the preset adds goes into the path.
func TestSitesWithAQuery(t *testing.T) {
	t.Parallel()
	called := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.URL.String() }))
	t.Cleanup(receiver.Close)
	for fields, want := range map[string]string{
		"preset: {product: jira, project: PAM, issue_type: Task}\nauth: {kind: bearer, token: x}": "/base/rest/api/3/issue?key=k",
		"preset: {product: splunk, token: x}":                                                     "/base/services/collector/event?key=k",
	} {
		set := load(t, "a.yaml", labHook(receiver.URL+"/base?key={key}", fields+"\nmasks: [{replacement: '{key}', value: k}]"), lab(t))
		_, _ = set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: sample(t, event.TypeRequestPending), Route: channel.RouteID{Name: "route"}, Attempt: 1})
		assert.Equal(t, want, <-called, fields)
	}
}
