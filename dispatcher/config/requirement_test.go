package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// The tests of this file are the lines about configuration of the five systems that documents replace, in their order.

// hook is a webhook channel with more fields, and a route to it with more.
func hook(channelFields, routeFields string) string {
	indent := func(s string) string {
		return strings.ReplaceAll("\n"+strings.TrimSpace(s), "\n", "\n    ")
	}
	url := "\n    url: https://hooks.example.com/events"
	if strings.Contains(channelFields, "url:") {
		url = ""
	}
	return "channels:\n  - type: webhook\n    name: hook" + url + indent(channelFields) + "\nroutes:\n  - name: route\n    channel: hook" + indent(routeFields) + "\n"
}

// one loads a document with one route and returns that.
func one(t *testing.T, src string) dispatcher.Route {
	t.Helper()
	set := load(t, "routes.yaml", src, config.Options{Tenants: anyTenant()})
	require.Len(t, set.Routes, 1)
	return set.Routes[0]
}

// refused loads a document and returns its errors in one text.
func refused(t *testing.T, src string) string {
	t.Helper()
	_, err := config.Load("routes.yaml", []byte(src), config.Options{})
	require.Error(t, err)
	return err.Error()
}

func sample(t *testing.T, typ event.Type) event.Event {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok)
	return e
}

func TestStyle1MethodsArePostPutDelete(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		one(t, hook("limits: apono\nmethod: "+method, ""))
	}
	for _, method := range []string{"GET", "PATCH", "post", "CONNECT", `""`} {
		assert.Contains(t, refused(t, hook("limits: apono\nmethod: "+method, "")), "channels[0].method is not", method)
	}
}

func TestStyle1URLIsHTTPSWithoutPortAndHasAValidHost(t *testing.T) {
	t.Parallel()
	one(t, hook("limits: apono\nurl: https://hooks.example.com/x", ""))
	for url, want := range map[string]string{
		"http://hooks.example.com/x":      "channels[0].url is not encrypted",
		"https://hooks.example.com:443/x": "channels[0].url names a port",
		"https://hooks..example.com/x":    "channels[0].url has a host with an empty label",
		"https://1.2.3/x":                 "channels[0].url has a numeric host that is not an IPv4 address",
	} {
		assert.Contains(t, refused(t, hook("limits: apono\nurl: "+url, "")), want, url)
	}
	assert.Contains(t, refused(t, hook("url: http://hooks.example.com/x", "")), "is not encrypted", "HTTPS only is the default as well")
	one(t, hook("url: https://hooks.example.com:8443/x", "")) // but with any port
}

func TestStyle1NotHandlebarsAndNotJSONAreTwoErrorsWithLineAndColumn(t *testing.T) {
	t.Parallel()
	body := "body:\n  kind: template\n  template: |\n    {\n      %s\n    }"
	assert.Contains(t, refused(t, hook(fmt.Sprintf(body, `"a": "{{#if x}}"`), "")), "is not a template: in its line 2, column 9")
	assert.Contains(t, refused(t, hook(fmt.Sprintf(body, `"a": {{event_type}} 1`), "")), "does not make JSON: in its line 2, column")
}

func TestStyle1TheEleventhHeaderIsRefused(t *testing.T) {
	t.Parallel()
	headers := func(n int) string {
		s := "headers:\n"
		for i := range n {
			s += fmt.Sprintf("  - {name: X-%d, value: v}\n", i)
		}
		return s
	}
	one(t, hook("limits: apono\n"+headers(10), ""))
	assert.Contains(t, refused(t, hook("limits: apono\n"+headers(11), "")), "channels[0].headers has 11 headers; use at most 10")
	one(t, hook(headers(25), "")) // style 5, and the default
	assert.Contains(t, refused(t, hook(headers(26), "")), "channels[0].headers has 26 headers; use at most 25")
}

func TestStyle1OneOrMoreTriggers(t *testing.T) {
	t.Parallel()
	all := map[string]event.Type{
		"Created": event.TypeRequestPending, "Approved": event.TypeRequestApproved, "Rejected": event.TypeRequestDenied,
		"Granted": event.TypeGrantActive, "Expired": event.TypeGrantExpired, "Failed": event.TypeGrantFailed,
	}
	for trigger, typ := range all {
		r := one(t, hook("", fmt.Sprintf("triggers: [%s]", trigger)))
		for _, other := range all {
			assert.Equal(t, other == typ, r.Events.Match(sample(t, other)), "%s: %s", trigger, other)
		}
	}
	r := one(t, hook("", "triggers: [Created, Failed]"))
	assert.True(t, r.Events.Match(sample(t, event.TypeRequestPending)))
	assert.True(t, r.Events.Match(sample(t, event.TypeGrantFailed)))
	assert.False(t, r.Events.Match(sample(t, event.TypeGrantActive)))
	assert.Contains(t, refused(t, hook("", "triggers: [Aproved]")), "did you mean Approved?")
}

func TestStyle1NameIsRequiredAndActiveOrInactiveAtSave(t *testing.T) {
	t.Parallel()
	assert.Contains(t, refused(t, strings.Replace(hook("", ""), "name: route", "state: enabled", 1)), "routes[0].name is missing")
	assert.Contains(t, refused(t, strings.Replace(hook("", ""), "name: route", `name: ""`, 1)), "routes[0].name is empty")
	assert.Contains(t, refused(t, strings.Replace(hook("", ""), "name: hook", "network: public", 1)), "channels[0].name is missing")
	for state, want := range map[string]dispatcher.State{"enabled": dispatcher.Enabled, "disabled": dispatcher.Disabled, "paused": dispatcher.Paused} {
		assert.Equal(t, want, one(t, hook("", "state: "+state)).State)
	}
	assert.Equal(t, dispatcher.Enabled, one(t, hook("", "")).State) // style 5: by default
}

func TestStyle2EmptyOrOmittedEventFiltersAreEveryEvent(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{"", "events: []", "events:"} {
		r := one(t, hook("", fields))
		for _, typ := range event.Catalogue() {
			assert.Equal(t, !strings.HasPrefix(string(typ), "tocsin."), r.Events.Match(sample(t, typ)), "%q: %s", fields, typ)
		}
	}
	r := one(t, hook("", "events: [grant.revoked, request.*]"))
	assert.True(t, r.Events.Match(sample(t, event.TypeGrantRevoked)))
	assert.True(t, r.Events.Match(sample(t, event.TypeRequestBreakGlass)))
	assert.False(t, r.Events.Match(sample(t, event.TypeGrantActive)))
}

func TestStyle2ChannelsOfATenant(t *testing.T) {
	t.Parallel()
	assert.Empty(t, one(t, hook("", "")).Tenant)
	assert.Equal(t, "acme", one(t, hook("", "tenant: acme")).Tenant)
	assert.Equal(t, dispatcher.AnyTenant, one(t, hook("", `tenant: "*"`)).Tenant)
	// A tenant's own document is that tenant's, whatever it says.
	set := load(t, "a.yaml", hook("", ""), config.Options{Tenant: "acme"})
	assert.Equal(t, "acme", set.Routes[0].Tenant)
	load(t, "a.yaml", hook("", "tenant: acme"), config.Options{Tenant: "acme"})
	for other, want := range map[string]string{
		"globex": "routes[0].tenant is not the tenant of this document",
		`"*"`:    "routes[0].tenant is all tenants, which the host does not allow in this document",
		`""`:     "routes[0].tenant is",
	} {
		_, err := config.Load("a.yaml", []byte(hook("", "tenant: "+other)), config.Options{Tenant: "acme"})
		assert.ErrorContains(t, err, want, other)
	}
}

// A document reaches beyond its own tenant only where the host allowed it by name.
func TestStyle2NoDocumentReachesAnotherTenantByItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options config.Options
		tenant  string
		want    string // "" = refused
	}{
		"nothing allowed, all":         {config.Options{}, `"*"`, ""},
		"nothing allowed, one":         {config.Options{}, "globex", ""},
		"one's own, all":               {config.Options{Tenant: "acme"}, `"*"`, ""},
		"one's own, another":           {config.Options{Tenant: "acme"}, "globex", ""},
		"one's own":                    {config.Options{Tenant: "acme"}, "acme", "acme"},
		"another one allowed":          {config.Options{Tenant: "acme", Tenants: []string{"globex"}}, "globex", "globex"},
		"another one allowed, a third": {config.Options{Tenant: "acme", Tenants: []string{"globex"}}, "initech", ""},
		"another one allowed, all":     {config.Options{Tenant: "acme", Tenants: []string{"globex"}}, `"*"`, ""},
		"all allowed, all":             {config.Options{Tenants: anyTenant()}, `"*"`, dispatcher.AnyTenant},
		"all allowed, one":             {config.Options{Tenants: anyTenant()}, "globex", "globex"},
	} {
		set, err := config.Load("a.yaml", []byte(hook("", "tenant: "+test.tenant)), test.options)
		if test.want == "" {
			require.ErrorContains(t, err, "a.yaml:9:13: routes[0].tenant is ", name)
			assert.NotContains(t, err.Error(), "globex", name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, test.want, set.Routes[0].Tenant, name)
		require.NoError(t, set.Close())
	}
}

func TestStyle2UpToThreeRetriesAndTwoHoursOfDedup(t *testing.T) {
	t.Parallel()
	r := one(t, hook("", "retry: {count: 3}\ndedup: {window: 2h}"))
	assert.Equal(t, 4, attempts(r.Retry))
	assert.Equal(t, channel.DedupOptions{Window: 2 * time.Hour}, r.Dedup)
	assert.Equal(t, 1, attempts(one(t, hook("", "retry: {count: 0}")).Retry))
	assert.Zero(t, one(t, hook("", "")).Dedup, "off unless asked for")
	assert.Equal(t, channel.DedupOptions{Window: time.Hour, BreakGlass: true, FailClosed: true}, one(t, hook("", "dedup: {window: 1h, break_glass: true, fail_closed: true}")).Dedup)
}

// The routes of a tenant's own document are all that tenant's, whether they say so or not: they notify each other.
func TestStyle2AlertsWithinATenantsOwnDocument(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{"tenant: acme\nalerts: {to: [contact]}", "alerts: {to: [contact]}"} {
		for _, contact := range []string{"{name: contact, channel: hook}", "{name: contact, channel: hook, tenant: acme}"} {
			set := load(t, "a.yaml", hook("", fields)+"  - "+contact+"\n", config.Options{Tenant: "acme"})
			failing := event.Must(event.ChannelFailing{RouteFailure: event.RouteFailure{Route: "route"}}, event.Meta{Tenant: "acme", Subject: "acme/route"})
			assert.True(t, set.Routes[1].Events.Match(failing))
		}
	}
}

// attempts counts those that a policy allows, at most a thousand.
func attempts(p retry.Policy) int {
	n, elapsed := 1, time.Duration(0)
	for n < 1000 {
		wait, ok := p.Next(retry.Failure{Attempt: n, Elapsed: elapsed})
		if !ok {
			break
		}
		n, elapsed = n+1, elapsed+wait
	}
	return n
}

func TestStyle2EmailWithRelayPortAndAddresses(t *testing.T) {
	t.Parallel()
	src := "channels:\n  - type: email\n    name: mail\n    smtp_host: smtp.example.com\n    from_address: a@example.com\n    to_addresses: [b@example.com]\n"
	set := load(t, "a.yaml", src, config.Options{})
	assert.Contains(t, set.String(), "1 channels")
	for _, field := range []string{"smtp_host", "from_address"} {
		assert.Contains(t, refused(t, strings.Replace(src, field+":", "reply_to:", 1)), field+" is missing")
	}
	assert.Contains(t, refused(t, strings.Replace(src, "[b@example.com]", "[]", 1)), "channels[0].to_addresses names nobody")
}

func TestStyle3RetryIntervalAndDuration(t *testing.T) {
	t.Parallel()
	r := one(t, hook("", "retry: {interval: 30s, duration: 4h}\norder: strict"))
	assert.Equal(t, retry.Fixed{Interval: 30 * time.Second, For: 4 * time.Hour}, r.Retry)
	assert.Equal(t, dispatcher.Strict, r.Order)
	assert.Equal(t, 3, attempts(one(t, hook("", "retry: {interval: 1m, duration: 1h, count: 2}")).Retry), "both bounds")
	assert.Equal(t, 61, attempts(one(t, hook("", "retry: {interval: 1m, duration: 1h, count: 100}")).Retry), "both bounds")
}

func TestStyle3CloudRuleIsHTTPSAndPort443Only(t *testing.T) {
	t.Parallel()
	one(t, hook("limits: beyondtrust_cloud\nurl: https://siem.example.com:443/x", ""))
	assert.Contains(t, refused(t, hook("limits: beyondtrust_cloud\nurl: https://siem.example.com:8443/x", "")), "uses a port that is not allowed; use port 443")
	assert.Contains(t, refused(t, hook("limits: beyondtrust_cloud\nurl: http://siem.example.com/x", "")), "is not encrypted")
}

func TestStyle3AlertAfterResendAndContact(t *testing.T) {
	t.Parallel()
	src := hook("", "tenant: acme\nalerts: {after: 10m, resend: 1h, to: [contact]}") + `
  - {name: contact, channel: hook, tenant: "*", events: [request.pending]}
  - {name: nobody, channel: hook, tenant: "*"}
  - {name: at once, channel: hook, tenant: acme, alerts: {after: at_once, resend: never, off: true, dead_letters: true}}
`
	set := load(t, "a.yaml", src, config.Options{Tenants: anyTenant()})
	assert.Equal(t, map[dispatcher.RouteID]health.Alert{{Tenant: "acme", Name: "route"}: {After: 10 * time.Minute, Resend: time.Hour}, {Tenant: "acme", Name: "at once"}: {After: -1, Resend: -1, Off: true, Dead: true}}, set.Alerts)
	news := func(route string) event.Event {
		return event.Must(event.ChannelFailing{RouteFailure: event.RouteFailure{Route: route}}, event.Meta{Tenant: "acme", Subject: "acme/" + route})
	}
	contact, nobody := set.Routes[1].Events, set.Routes[2].Events
	assert.True(t, contact.Match(news("route")))
	assert.False(t, contact.Match(news("at once")), "alerts of others are not this contact's")
	assert.True(t, contact.Match(sample(t, event.TypeRequestPending)), "and what it wants otherwise")
	assert.False(t, contact.Match(sample(t, event.TypeRequestDenied)))
	assert.False(t, nobody.Match(news("route")))
	for _, e := range []event.Event{
		event.Must(event.ChannelRecovered{RouteFailure: event.RouteFailure{Route: "route"}}, event.Meta{Subject: "acme/route"}),
		event.Must(event.ChannelDisabled{RouteFailure: event.RouteFailure{Route: "route"}}, event.Meta{Subject: "acme/route"}),
	} {
		assert.True(t, contact.Match(e), e.Type())
	}
}

func TestStyle3EmailUpToTenAddresses(t *testing.T) {
	t.Parallel()
	mail := func(to, bcc int) string {
		list := func(n int, prefix string) string {
			all := make([]string, n)
			for i := range all {
				all[i] = fmt.Sprintf("%s%d@example.com", prefix, i)
			}
			return "[" + strings.Join(all, ", ") + "]"
		}
		return "channels:\n  - {type: email, name: mail, smtp_host: smtp.example.com, from_address: a@example.com, to_addresses: " + list(to, "t") + ", bcc_addresses: " + list(bcc, "b") + "}"
	}
	load(t, "a.yaml", mail(10, 0), config.Options{})
	load(t, "a.yaml", mail(6, 4), config.Options{})
	assert.Contains(t, refused(t, mail(11, 0)), "channels[0].to_addresses[10] is one too many; use at most 10")
	assert.Contains(t, refused(t, mail(7, 4)), "channels[0].to_addresses names 11 recipients, together with those that are hidden or computed; use at most 10")
}

func TestStyle3RequireExternalKey(t *testing.T) {
	t.Parallel()
	r := one(t, hook("", "events: [session.*]\nrequire_external_key: true"))
	with := event.Must(event.SessionStarted{Session: event.Session{ExternalKey: "CHG7"}}, event.Meta{})
	without := event.Must(event.SessionStarted{}, event.Meta{})
	assert.True(t, r.Events.Match(with))
	assert.False(t, r.Events.Match(without))
	r = one(t, hook("", "events: [session.*]"))
	assert.True(t, r.Events.Match(without))
}

func TestStyle4OneEventContentTypeTokenAndTemplate(t *testing.T) {
	t.Parallel()
	one(t, hook("content_type: application/json\nauth: {kind: token, value: Bearer x}\nbody: {kind: macros, template: '{\"a\": \"%%User%% in %%HostName%%\"}'}", "events: [application_access.requested]"))
	assert.Contains(t, refused(t, hook("auth: {kind: token}", "")), "channels[0].auth.value is missing")
	assert.Contains(t, refused(t, hook("body: {kind: macros, template: '{\"a\": \"%%Usr%%\"}'}", "")), "there is no macro %%Usr%%; did you mean %%User%%?")
	// Static JSON is delivered unchanged, so that it has to be JSON.
	one(t, hook(`body: {kind: static, text: '{"a":  1}'}`, ""))
	assert.Contains(t, refused(t, hook(`body: {kind: static, text: '{"a":  1'}`, "")), "channels[0].body is not valid JSON")
}

func TestStyle5NameIsUniqueAndAtMost100Characters(t *testing.T) {
	t.Parallel()
	named := func(name string) string { return strings.Replace(hook("", ""), "name: route", "name: "+name, 1) }
	one(t, named(strings.Repeat("é", 100)))
	assert.Contains(t, refused(t, named(strings.Repeat("é", 101))), "routes[0].name has 101 characters; use at most 100")
	assert.Contains(t, refused(t, hook("", "")+"  - {name: route, channel: hook}\n"), "routes[1].name is also the name of routes[0]")
	two := "channels:\n  - {type: webhook, name: hook, url: https://a.example.com}\n  - {type: webhook, name: hook, url: https://b.example.com}\n"
	assert.Contains(t, refused(t, two), "channels[1].name is also the name of channels[0]")
}

func TestStyle5VerifyTLSIsOnByDefault(t *testing.T) {
	t.Parallel()
	warned := func(fields string) bool {
		return strings.Contains(fmt.Sprint(one(t, hook(fields, "")).Channel), "not verified")
	}
	assert.False(t, warned(""))
	assert.False(t, warned("verify_tls: true"))
	assert.True(t, warned("verify_tls: false"))
}

func TestStyle5UpToTenMasks(t *testing.T) {
	t.Parallel()
	masks := func(n int) string {
		url, list := "url: https://hooks.example.com/", "\nmasks:\n"
		for i := range n {
			url += fmt.Sprintf("{m%c}", 'a'+i)
			list += fmt.Sprintf("  - {replacement: \"{m%c}\", value: v%d}\n", 'a'+i, i)
		}
		return url + list
	}
	one(t, hook(masks(10), ""))
	assert.Contains(t, refused(t, hook(masks(11), "")), "channels[0].masks[10] is one too many; use at most 10")
}

func TestStyle5AuthenticationNoneBasicToken(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"{kind: none}", "{kind: basic, user: u, password: p}", "{kind: token, value: t}", "{kind: bearer, token: t}"} {
		one(t, hook("auth: "+auth, ""))
	}
	assert.Contains(t, refused(t, hook("auth: {kind: digest}", "")), "use one of none, basic, token, bearer")
}

func TestStyle5ThreeRetriesOn5xx408And429Only(t *testing.T) {
	t.Parallel()
	r := one(t, hook("retry_statuses: [5xx, 408, 429]", "retry: {count: 3}"))
	assert.Equal(t, 4, attempts(r.Retry))
	wait, ok := r.Retry.Next(retry.Failure{Attempt: 1})
	assert.True(t, ok)
	assert.InDelta(t, time.Second, wait, float64(time.Second)/2+1, "exponential from 1 s, with jitter")
}

func TestStyle5OneChannelServesManyRules(t *testing.T) {
	t.Parallel()
	r := one(t, hook("", "rules:\n  - {events: [alert.opened]}\n  - {events: [alert.*], except: [alert.acknowledged], attributes: [escalate]}"))
	escalated := event.Must(event.AlertResolved{Alert: event.Alert{AlertID: "1"}}, event.Meta{Attributes: map[string]string{"escalate": "yes"}})
	assert.True(t, r.Events.Match(sample(t, event.TypeAlertOpened)))
	assert.True(t, r.Events.Match(escalated))
	assert.False(t, r.Events.Match(sample(t, event.TypeAlertResolved)))
	assert.False(t, r.Events.Match(event.Must(event.AlertAcknowledged{Alert: event.Alert{AlertID: "1"}}, event.Meta{Attributes: map[string]string{"escalate": "yes"}})))
}

// Every field of a route arrives there, and what is left out is left to the dispatcher's defaults.
func TestEveryFieldOfARoute(t *testing.T) {
	t.Parallel()
	r := one(t, hook("", `
tenant: acme
timeout: 20s
concurrency: 8
order: by_subject
rate: {events: 5, per: 1m, burst: 2}
backlog: {jobs: 500, overflow: drop_oldest}
dead_letters: {count: 200, age: 720h}
max_age: forever
state: paused
retry: {schedule: [0s, 5s, 5m]}
breaker: {failures: 5, pause: 10s, max_pause: 1m}
disable_after: 48h
`))
	r.Channel, r.Events = nil, event.Filter{}
	assert.Equal(t, dispatcher.Route{
		Name: "route", Tenant: "acme", Timeout: 20 * time.Second, Concurrency: 8, Order: dispatcher.BySubject,
		Rate: dispatcher.Rate{Events: 5, Per: time.Minute, Burst: 2}, Backlog: dispatcher.Backlog{Jobs: 500, Overflow: dispatcher.DropOldest},
		DeadLetters: dispatcher.DeadLetterLimit{Count: 200, Age: 720 * time.Hour},
		MaxAge:      -1, State: dispatcher.Paused, Retry: retry.Schedule{0, 5 * time.Second, 5 * time.Minute},
		Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 5, Pause: 10 * time.Second, MaxPause: time.Minute}, DisableAfter: 48 * time.Hour},
	}, r)
	r = one(t, hook("", "timeout: none"))
	r.Channel = nil
	assert.Equal(t, dispatcher.Route{Name: "route", Timeout: -1, Events: r.Events}, r)
	two := load(t, "a.yaml", hook("", "fallback: other")+"  - {name: other, channel: hook}\n", config.Options{})
	assert.Equal(t, "other", two.Routes[0].Protect.Fallback)
}

// Filters take either vocabulary, also mixed: types, triggers, and the words of the products that say it otherwise.
func TestFiltersTakeEitherVocabulary(t *testing.T) {
	t.Parallel()
	for _, vocabulary := range event.Vocabularies() {
		for typ, word := range vocabulary {
			for _, fields := range []string{"events: ['" + word + "']", "rules: [{events: ['" + word + "']}]"} {
				r := one(t, hook("", fields))
				for _, other := range event.Catalogue() {
					assert.Equal(t, other == typ, r.Events.Match(sample(t, other)), "%s: %s", fields, other)
				}
			}
		}
	}
	r := one(t, hook("", "rules: [{events: [Created, grant.*, JIT Application Access Ticket Created], except: [Expired]}]"))
	for typ, want := range map[event.Type]bool{
		event.TypeRequestPending: true, event.TypeApplicationAccessRequested: true, event.TypeGrantActive: true,
		event.TypeGrantExpired: false, event.TypeRequestApproved: false, event.TypeApplicationAccessDecided: false,
	} {
		assert.Equal(t, want, r.Events.Match(sample(t, typ)), typ)
	}
	for word, want := range map[string]string{
		"JIT Application Access Ticket Craeted": "did you mean JIT Application Access Ticket Created?",
		"AccesRequestCreated":                   "did you mean AccessRequestCreated?",
		"created":                               "did you mean Created?",
		"reqest.pending":                        "did you mean request.pending?",
		"reqest.*":                              "did you mean request.*?",
		"Request.Approved":                      "did you mean request.approved?",
	} {
		assert.Contains(t, refused(t, hook("", "events: ["+word+"]")), want)
	}
	own := config.Options{EventTypes: []event.Type{"ticket.closed"}, Vocabularies: map[string]event.Vocabulary{"desk": {"ticket.closed": "Ticket done"}}}
	set := load(t, "a.yaml", hook("", "events: [Ticket done]"), own)
	assert.True(t, set.Routes[0].Events.MatchType("ticket.closed"))
	assert.False(t, set.Routes[0].Events.MatchType("request.pending"))
}

// A plan is not cut silently: an age that is not set follows it, and one that cuts it is an error (see
// plan-beyond-its-age.yaml).
func TestRetriesRunToTheirEnd(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{
		"retry: {interval: 1h, duration: 72h}",
		"retry: {interval: 1h, duration: 72h}\nmax_age: 72h",
		"retry: {interval: 1h, duration: 72h}\nmax_age: forever",
		"retry: {schedule: [0s, 5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h]}",
		"retry: {interval: 8h, count: 9}",
	} {
		one(t, hook("", fields))
	}
	assert.Contains(t, refused(t, hook("", "retry: {interval: 1h, duration: 72h}\nmax_age: 71h")), "routes.yaml:10:14: routes[0].max_age is 71h, which cuts the retry policy")
	// Without an end of its own, a plan ends with the age.
	one(t, hook("", "retry: {interval: 1h}\nmax_age: 24h"))
	one(t, hook("", "max_age: 1h"))
}

func TestTheBreakerIsOnUnlessADocumentSaysOff(t *testing.T) {
	t.Parallel()
	assert.Zero(t, one(t, hook("", "")).Protect.Breaker.Failures, "the default, which is on")
	assert.Equal(t, dispatcher.Breaker{Pause: time.Minute}, one(t, hook("", "breaker: {pause: 1m}")).Protect.Breaker)
	assert.Negative(t, one(t, hook("", "breaker: {off: true}")).Protect.Breaker.Failures)
}
