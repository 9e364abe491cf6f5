package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

const edited = `
channels:
  - type: webhook
    name: tickets
    url: https://tickets.example.com/hooks/{key}
    masks: [{replacement: "{key}", value: not-a-real-key}]
    headers: [{name: X-Sensitive, secret: not-a-real-header}]
  - type: slack
    name: chat
    url: https://hooks.slack.com/services/T0/B0/not-a-real-hook
  - {type: email, name: mail, smtp_host: relay.example.com, from_address: a@example.com, to_addresses: [b@example.com]}
routes:
  - {name: tickets, channel: tickets, events: [request.*], triggers: [Failed], fallback: mail, alerts: {to: [mail, chat]}}
  - {name: chat, channel: chat, fallback: mail}
  - {name: mail, channel: mail, state: paused, rules: [{events: [session.*]}, {triggers: [Created]}]}
`

// same requires that an edited document says what its text says when that is loaded, with its secrets and without.
func same(t *testing.T, d *config.Document, o config.Options) {
	t.Helper()
	set, err := d.Load(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, set.Close()) }()
	everything := reveal(t, d)
	fromText := load(t, "a.json", everything, o)
	assert.Equal(t, everything, reveal(t, fromText.Document))
	assert.Equal(t, outline(fromText), outline(set))
	assert.Equal(t, fromText.Alerts, set.Alerts)
	o.Stored = d
	for name, written := range map[string][]byte{"a.json": d.JSON(), "a.yaml": d.YAML()} {
		assert.NotContains(t, string(written), "not-a-real")
		assert.Equal(t, everything, reveal(t, load(t, name, string(written), o).Document))
	}
}

func TestAChannelIsAddedAndReplaced(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", edited, config.Options{}).Document
	before := reveal(t, d)
	next, err := d.SetChannel("siem", []byte(`{"type": "webhook", "url": "https://siem.example.com/x", "auth": {"kind": "bearer", "token": "not-a-real-token"}}`), config.Options{})
	require.NoError(t, err)
	next, err = next.SetRoute("siem", []byte("channel: siem\nevents: [session.*]\n"), config.Options{})
	require.NoError(t, err)
	same(t, next, config.Options{})
	assert.JSONEq(t, `{"type": "webhook", "name": "siem", "url": "https://siem.example.com/[redacted]", "auth": {"kind": "bearer", "token": "[redacted]"}}`, string(next.Channel("siem")))
	assert.JSONEq(t, `{"name": "siem", "channel": "siem", "events": ["session.*"]}`, string(next.Route("siem")))

	next, err = next.SetChannel("tickets", []byte(strings.Replace(string(d.Channel("tickets")), "X-Sensitive", "x-sensitive", 1)), config.Options{})
	require.NoError(t, err)
	same(t, next, config.Options{})
	assert.Contains(t, reveal(t, next), "not-a-real-header")
	assert.Contains(t, reveal(t, next), "not-a-real-key")
	assert.Equal(t, before, reveal(t, d), "a document does not change")
	assert.Nil(t, d.Channel("siem"))
	assert.Nil(t, d.Route("siem"))
}

// Nothing is needed to begin with.
func TestADocumentBeginsEmpty(t *testing.T) {
	t.Parallel()
	d := new(config.Document)
	same(t, d, config.Options{})
	assert.Empty(t, d.Channels())
	d, err := d.SetChannel("a", []byte("type: webhook\nurl: https://a.example.com/"), config.Options{})
	require.NoError(t, err)
	d, err = d.SetRoute("b", []byte("channel: a"), config.Options{})
	require.NoError(t, err)
	same(t, d, config.Options{})
	// Channels come before routes, whatever was first.
	d = load(t, "a.yaml", "version: 1\nroutes: []", config.Options{}).Document
	d, err = d.SetChannel("a", []byte("type: webhook\nurl: https://a.example.com/"), config.Options{})
	require.NoError(t, err)
	same(t, d, config.Options{})
}

// What is there already changes nothing: not the document, and not the channels of a Set.
func TestAnEditThatChangesNothing(t *testing.T) {
	t.Parallel()
	set := load(t, "a.yaml", edited, config.Options{})
	d := set.Document
	for _, name := range []string{"tickets", "chat", "mail"} {
		next, err := d.SetChannel(name, d.Channel(name), config.Options{})
		require.NoError(t, err)
		assert.Same(t, d, next, name)
		next, err = d.SetRoute(name, d.Route(name), config.Options{})
		require.NoError(t, err)
		assert.Same(t, d, next, name)
	}
	next, err := d.SetState("mail", dispatcher.Paused)
	require.NoError(t, err)
	assert.Same(t, d, next)
	next, err = d.RenameChannel("mail", "mail")
	require.NoError(t, err)
	assert.Same(t, d, next)
	next, err = d.RenameRoute("mail", "mail")
	require.NoError(t, err)
	assert.Same(t, d, next)
	again, err := d.Load(config.Options{Previous: set})
	require.NoError(t, err)
	for i := range again.Routes {
		assert.Same(t, set.Routes[i].Channel, again.Routes[i].Channel)
	}
	require.NoError(t, again.Close())
}

// Whoever may edit but not read learns from no answer whether a secret is what was guessed.
func TestASecretThatIsGivenAgainIsAnotherOne(t *testing.T) {
	t.Parallel()
	const fragment = `{"type": "webhook", "url": "https://a.example.com/", "auth": {"kind": "bearer", "token": "not-a-real-token"}}`
	d, err := new(config.Document).SetChannel("a", []byte(fragment), config.Options{})
	require.NoError(t, err)
	d, err = d.SetRoute("a", []byte(`{"channel": "a"}`), config.Options{})
	require.NoError(t, err)
	set, err := d.Load(config.Options{})
	require.NoError(t, err)
	next, err := d.SetChannel("a", []byte(fragment), config.Options{})
	require.NoError(t, err)
	assert.NotSame(t, d, next)
	again, err := next.Load(config.Options{Previous: set})
	require.NoError(t, err)
	assert.NotSame(t, set.Routes[0].Channel, again.Routes[0].Channel)
	require.NoError(t, set.Close())
	require.NoError(t, again.Close())
}

// Errors are about the fragment: its lines, and paths within it.
func TestErrorsOfAnEditAreAboutTheFragment(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", edited, config.Options{}).Document
	for _, test := range []struct{ name, fragment, want string }{
		{"tickets", `{"type": "webhook",` + "\n" + `"url": "http://tickets.example.com/"}`, `2:8: url is not encrypted; use https`},
		{"tickets", "type: webhook\nurl: https://evil.example.com/hooks/{key}\nmasks: [{replacement: '{key}', value: '[redacted]'}]\nheaders:\n  - {name: X-Sensitive, secret: '[redacted]'}",
			"3:8: masks cannot keep its stored value, because the destination has changed; give the values again\n5:33: headers[0].secret cannot keep its stored value, because the destination has changed; give the value again"},
		{"chat", "type: slack\nurl: https://evil.example.com/[redacted]", "2:6: url cannot keep its stored value, because the destination has changed; give the whole URL, or leave it as it was shown"},
		{"new", "type: slack\nurl: https://hooks.slack.com/[redacted]", "2:6: url has no stored value to keep; give the whole URL"},
		{"chat", "type: slak", "1:7: type is not one of the values it may have; did you mean slack? use one of email, slack, webhook"},
		{"chat", "name: chat", "1:1: type is missing; set it to one of email, slack, webhook"},
		{"chat", "type: slack\nname: chatt\nurl: https://hooks.slack.com/x", `2:7: name is not the name of what is changed; leave it out, or rename that first`},
		{"", "type: slack\nurl: https://hooks.slack.com/x", `1:1: name is empty; give it: name of the channel: unique, at most 100 characters`},
		{"chat", "[]", "1:1: the channel is a list, not an object; write type and its other fields one below the other, indented"},
		{"chat", "", "the channel is empty; write its fields"},
		{"chat", `{"type": "slack"`, "the channel is not valid JSON"},
		{"chat", "type: slack\nurl: https://hooks.slack.com/x\ntemplate: '{{#if}}'\nchannel: C1\nnetwork: lab\nlimitz: x",
			"3:11: template is not a template"},
	} {
		next, err := d.SetChannel(test.name, []byte(test.fragment), config.Options{})
		require.ErrorContains(t, err, test.want, test.fragment)
		assert.Nil(t, next)
		for _, e := range listed(err) {
			assert.Empty(t, e.File)
			assert.NotContains(t, e.Error(), "channels[", test.fragment)
			assert.NotContains(t, e.Error(), "not-a-real", test.fragment)
		}
	}
	for _, test := range []struct{ name, fragment, want string }{
		{"tickets", "channel: ticket", `1:10: channel names no channel; name one of the channels; did you mean "tickets"?`},
		{"tickets", "channel: tickets\nfallback: male", `2:11: fallback names no route; name one of the routes; did you mean "mail"?`},
		{"new", "channel: mail\nfallback: new", `2:11: fallback is "new", which leads back here; end the chain of fallbacks somewhere`},
		{"mail", "channel: mail\nfallback: tickets", `2:11: fallback is "tickets", which leads back here; end the chain of fallbacks somewhere`},
		{"tickets", "channel: tickets\nalerts: {to: [male, tickets]}", "2:15: alerts.to[0] names no route; name one of the routes; did you mean \"mail\"?\n2:21: alerts.to[1] is the route itself"},
		{"tickets", "channel: tickets\nevents: [request.pendin]\ntimeout: 3\nretry: {count: 1, schedule: [0s]}", "2:10: events[0] names events that do not exist; did you mean request.pending?\n3:10: timeout has no unit"},
		{"tickets", "channel: tickets\ntenant: globex", "2:9: tenant is a tenant that the host does not allow in this document"},
		{"tocsin.x", "channel: tickets", `1:1: name begins with tocsin.; choose another name`},
		{"tickets", "", "the route is empty; write its fields"},
	} {
		next, err := d.SetRoute(test.name, []byte(test.fragment), config.Options{})
		require.ErrorContains(t, err, test.want, test.fragment)
		assert.Nil(t, next)
		for _, e := range listed(err) {
			assert.NotContains(t, e.Error(), "routes[", test.fragment)
		}
	}
	_, err := d.SetChannel("new", []byte("type: slack\nurl: https://hooks.slack.com/x"), config.Options{Caps: config.Caps{Channels: 3}})
	require.EqualError(t, err, "1:1: the channel is one too many; use at most 3")
	_, err = d.SetRoute("new", []byte("channel: mail"), config.Options{Caps: config.Caps{Routes: 3}})
	require.EqualError(t, err, "1:1: the route is one too many; use at most 3")
	_, err = d.SetChannel("chat", []byte("type: slack # "+strings.Repeat("x", 100)), config.Options{MaxSize: 100})
	require.ErrorContains(t, err, "the channel has more than 100 bytes")
}

// A change of a route's tenant is judged with the routes that name it.
func TestARoutePassesToAnotherTenant(t *testing.T) {
	t.Parallel()
	o := config.Options{Tenants: []string{"acme", "globex"}}
	src := hook("", "tenant: acme\nfallback: contact\nalerts: {to: [contact]}") + "  - {name: contact, channel: hook, tenant: acme}\n"
	d := load(t, "a.yaml", src, o).Document
	_, err := d.SetRoute("contact", []byte("channel: hook\ntenant: globex"), o)
	require.ErrorContains(t, err, `2:9: tenant is not the tenant of route "route", whose alerts go there`)
	require.ErrorContains(t, err, `1:1: the route is a fallback of route "route", whose own then is "contact", which is no route`)
	next, err := d.SetRoute("route", []byte("channel: hook\ntenant: acme"), o)
	require.NoError(t, err)
	next, err = next.SetRoute("contact", []byte("channel: hook\ntenant: globex"), o)
	require.NoError(t, err)
	same(t, next, o)
}

func TestPartsAreRemoved(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", edited, config.Options{}).Document
	_, err := d.RemoveChannel("mail")
	require.EqualError(t, err, `routes[2].channel names the channel that is to be removed; remove the route first, or give it another channel`)
	_, err = d.RemoveRoute("mail")
	require.EqualError(t, err, `routes[0].alerts.to[0] names the route that is to be removed; name another one first, or leave it out
routes[0].fallback names the route that is to be removed; name another one first, or leave it out
routes[1].fallback names the route that is to be removed; name another one first, or leave it out`)
	for _, name := range []string{"tickets", "chat", "mail"} {
		d, err = d.RemoveRoute(name)
		require.NoError(t, err)
		same(t, d, config.Options{})
		d, err = d.RemoveChannel(name)
		require.NoError(t, err)
		same(t, d, config.Options{})
	}
	assert.Empty(t, d.Channels())
	_, err = d.RemoveChannel("mail")
	require.EqualError(t, err, `channels has none of the name "mail"; name one that is there`)
	assert.Equal(t, channel.CodeUnknown, listed(err)[0].Code)
	// A channel that is gone takes its secrets along.
	_, err = d.SetChannel("chat", []byte("type: slack\nurl: https://hooks.slack.com/[redacted]"), config.Options{})
	require.ErrorContains(t, err, "has no stored value to keep")
}

func TestPartsAreRenamed(t *testing.T) {
	t.Parallel()
	first := load(t, "a.yaml", edited, config.Options{})
	d, err := first.Document.RenameChannel("tickets", "jira")
	require.NoError(t, err)
	d, err = d.RenameRoute("mail", "post")
	require.NoError(t, err)
	same(t, d, config.Options{})
	assert.Contains(t, reveal(t, d), "not-a-real-key")
	want := load(t, "a.yaml", strings.NewReplacer(
		"    name: tickets", "    name: jira", "channel: tickets", "channel: jira",
		"{name: mail, channel", "{name: post, channel", "fallback: mail", "fallback: post", "[mail, chat]", "[post, chat]",
	).Replace(edited), config.Options{})
	assert.Equal(t, reveal(t, want.Document), reveal(t, d))
	set, err := d.Load(config.Options{Previous: first})
	require.NoError(t, err)
	assert.NotSame(t, first.Routes[0].Channel, set.Routes[0].Channel, "another name, another channel")
	assert.Same(t, first.Routes[1].Channel, set.Routes[1].Channel)
	require.NoError(t, set.Close())
	for _, test := range []struct {
		rename           func(name, next string) (*config.Document, error)
		name, next, want string
	}{
		{d.RenameChannel, "jira", "chat", `name is there already: "chat"; choose another name`},
		{d.RenameChannel, "jira", "", `name is empty; give it: name of the channel: unique, at most 100 characters`},
		{d.RenameChannel, "jira", strings.Repeat("x", 101), `name has 101 characters; use at most 100`},
		{d.RenameChannel, "tickets", "other", `channels has none of the name "tickets"; name one that is there: "chat", "jira", "mail"`},
		{d.RenameRoute, "post", "chat", `name is there already: "chat"; choose another name`},
		{d.RenameRoute, "post", "tocsin.x", `name begins with tocsin.; choose another name: this prefix is the library's own`},
	} {
		_, err := test.rename(test.name, test.next)
		require.EqualError(t, err, test.want)
	}
}

func TestRoutesOfAChannelAreEnabledAndDisabled(t *testing.T) {
	t.Parallel()
	first := load(t, "a.yaml", edited, config.Options{})
	d := first.Document
	for _, s := range []dispatcher.State{dispatcher.Disabled, dispatcher.Paused, dispatcher.Enabled} {
		var err error
		d, err = d.SetState("tickets", s)
		require.NoError(t, err)
		same(t, d, config.Options{})
		set, err := d.Load(config.Options{Previous: first})
		require.NoError(t, err)
		assert.Equal(t, []dispatcher.State{s, dispatcher.Enabled, dispatcher.Paused}, []dispatcher.State{set.Routes[0].State, set.Routes[1].State, set.Routes[2].State})
		for i := range set.Routes {
			assert.Same(t, first.Routes[i].Channel, set.Routes[i].Channel)
		}
		require.NoError(t, set.Close())
	}
	_, err := d.SetState("ticket", dispatcher.Paused)
	require.EqualError(t, err, `channels has none of the name "ticket"; name one that is there; did you mean "tickets"?`)
	_, err = d.SetState("tickets", 7)
	require.EqualError(t, err, "state is unknown; use enabled, disabled or paused")
}

func TestChannelsAreListed(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", edited, config.Options{}).Document
	assert.Equal(t, []config.ChannelSummary{
		{Name: "tickets", Type: "webhook", Destination: "https://tickets.example.com/hooks/{key}", Routes: []config.RouteSummary{
			{Name: "tickets", Events: []string{"request.*", "Failed"}},
		}},
		{Name: "chat", Type: "slack", Destination: "https://hooks.slack.com/[redacted]", Routes: []config.RouteSummary{{Name: "chat", Events: []string{}}}},
		{Name: "mail", Type: "email", Destination: "relay.example.com", Routes: []config.RouteSummary{
			{Name: "mail", State: dispatcher.Paused, Events: []string{"session.*", "Created"}},
		}},
	}, d.Channels())
	for fragment, want := range map[string]string{
		"type: slack\ntoken: x\nchannel: C024BE91L\nnetwork: public":                "C024BE91L",
		"type: webhook\npreset: {product: datadog, api_key: x}":                     "datadog",
		"type: webhook\npreset: {product: teams}\nurl: https://teams.example.com/x": "https://teams.example.com/[redacted]",
		"type: webhook\nurl: https://a.example.com":                                 "https://a.example.com",
	} {
		d, err := new(config.Document).SetChannel("a", []byte(fragment), config.Options{})
		require.NoError(t, err, fragment)
		assert.Equal(t, want, d.Channels()[0].Destination)
	}
}

func TestADocumentIsMarshalled(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", edited, config.Options{}).Document
	b, err := json.Marshal(map[string]any{"document": d})
	require.NoError(t, err)
	assert.JSONEq(t, `{"document": `+string(d.JSON())+`}`, string(b))
}

// Of an edited document there are no lines, because there is no text; findings and errors have their paths.
func TestAnEditedDocumentHasNoLines(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", "# a comment\n"+hook("body: {kind: template, template: '\"{{data.nothing}}\"'}", ""), config.Options{}).Document
	d, err := d.SetRoute("other", []byte("channel: hook"), config.Options{})
	require.NoError(t, err)
	set, err := d.Load(config.Options{})
	require.NoError(t, err)
	found := set.Findings(t.Context())
	require.NotEmpty(t, found)
	assert.Zero(t, found[0].Line)
	assert.Equal(t, "channels[0].body.template", found[0].Path)
	assert.True(t, strings.HasPrefix(found[0].String(), "warning: channels[0].body.template, in its line 1"), found[0].String())
	require.NoError(t, set.Close())
	_, err = d.Load(config.Options{Vocabularies: nil, Tenant: "acme", Types: config.NewRegistry(map[string]config.Type{"webhook": {}})})
	require.EqualError(t, err, "channels[0].type makes no channel; have the host's Type.Make return one")
	set, err = config.Load("a.yaml", []byte("channels: [{type: probe, name: a, mark: a}]"), config.Options{Types: probeTypes(map[string]*probe{"a": newProbe()})})
	require.NoError(t, err)
	_, err = set.Document.Load(config.Options{})
	require.EqualError(t, err, `a.yaml:1:19: channels[0].type is not offered by the host; name one that is: "email", "slack", "webhook"`)
	require.NoError(t, set.Close())
}
