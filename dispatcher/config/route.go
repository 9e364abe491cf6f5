package config

import (
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/retry"
)

func routeFields(caps Caps) []Field {
	return slices.Concat([]Field{
		{Name: "name", Required: true, Max: dispatcher.MaxNameLength, Doc: "Name of the route: unique, at most 100 characters."},
		{Name: "channel", Required: true, Doc: "Name of the channel that delivers."},
		{Name: "state", Values: []string{"enabled", "disabled", "paused"}, Doc: "enabled; disabled: takes no new events and sends nothing; paused: takes events and sends nothing. Default: enabled."},
		{Name: "tenant", mayBeEmpty: true, guards: true, Doc: "Id of the tenant whose events the route takes, or * for all tenants, as far as the host allows it. Default: the tenant whose document this is; without one, only events without a tenant."},
		{Name: "events", List: true, MaxItems: 500, Doc: "Types of events, such as request.approved or request.*, or another product's words for them, such as Created or JIT Application Access Ticket Created. Default: every lifecycle event."},
		{Name: "triggers", List: true, MaxItems: 50, Values: triggerNames(), Doc: "The same as triggers of access requests. Together with events, what either names is taken."},
		{Name: "rules", Kind: Object, List: true, MaxItems: 100, Doc: "Rules in place of events and triggers: an event is taken, once, when one of them wants it.", Fields: []Field{
			{Name: "events", List: true, MaxItems: 500, Doc: "Types of events, or words for them. Default: every lifecycle event."},
			{Name: "triggers", List: true, MaxItems: 50, Values: triggerNames(), Doc: "The same as triggers of access requests."},
			{Name: "except", List: true, MaxItems: 500, Doc: "Types of events that are not wanted, or words for them."},
			{Name: "attributes", List: true, MaxItems: 100, Doc: "Names of attributes that the event must have, such as external_key."},
		}},
		{Name: "require_external_key", Kind: Flag, guards: true, Doc: "Takes only events that have an external key when they occur. Default: false."},
		{Name: "retry", Kind: Object, Doc: "When to try again after a failure. Default: from 1s to 15m apart, until max_age.", Fields: []Field{
			{Name: "count", Kind: Number, Doc: "The most retries; 0 = none. Default: no bound."},
			{Name: "interval", Kind: Duration, Min: 1, Doc: "The time between attempts. Default: growing."},
			{Name: "duration", Kind: Duration, Min: 1, Doc: "How long after the first attempt the last one may begin. Default: no bound."},
			{Name: "initial", Kind: Duration, Min: 1, Doc: "The first of growing pauses. Default: 1s."},
			{Name: "longest", Kind: Duration, Min: 1, Doc: "The longest of growing pauses. Default: 15m."},
			{Name: "schedule", Kind: Duration, List: true, MaxItems: 100, Doc: "The pause before each attempt, the first included, in place of the other fields."},
		}},
		{Name: "timeout", Kind: Duration, Min: 1, Longest: caps.Timeout, Word: "none", Doc: "The time of one attempt. Default: 30s."},
		{Name: "concurrency", Kind: Number, Min: 1, Max: caps.Concurrency, Doc: "Attempts at a time. Default: 4."},
		{Name: "order", Values: []string{"parallel", "by_subject", "strict"}, Doc: "Which deliveries wait for each other: none, those about the same subject, or all. Default: parallel."},
		{Name: "dedup", Kind: Object, Doc: "Sends what is identical once. Default: off.", Fields: []Field{
			{Name: "window", Kind: Duration, Min: 1, Longest: caps.Dedup, Required: true, Doc: "How long after a delivery an identical one is left out, such as 2h."},
			{Name: "break_glass", Kind: Flag, Doc: "Whether break-glass requests are left out too. Default: false."},
			{Name: "fail_closed", Kind: Flag, Doc: "Whether deliveries wait while the store fails. Default: false, they are made, perhaps twice."},
		}},
		{Name: "rate", Kind: Object, Doc: "Limits how often attempts start. Default: unlimited.", Fields: []Field{
			{Name: "events", Kind: Number, Required: true, Min: 1, Doc: "How many attempts in the time of per."},
			{Name: "per", Kind: Duration, Min: 1, Doc: "The time for events. Default: 1s."},
			{Name: "burst", Kind: Number, Min: 1, Doc: "Attempts that may start at once after a quiet time. Default: 1."},
		}},
		{Name: "backlog", Kind: Object, Doc: "Bounds what waits in a queue in memory. An engine with a durable queue takes no route that has it.", Fields: []Field{
			{Name: "jobs", Kind: Number, Min: 1, Max: caps.Backlog, Doc: "The most deliveries that wait. Default: 10000."},
			{Name: "overflow", Values: []string{"reject_new", "drop_oldest"}, Doc: "What gives way. Default: reject_new."},
		}},
		{Name: "max_age", Kind: Duration, Min: 1, Word: "forever", Doc: "How long an event is worth delivering. Default: 24h, or what retry needs to run to its end."},
		alertsField(),
	}, protectionFields())
}

// routePaths are the fields of documents that those of a dispatcher.Route are made of, where the name is another one.
var routePaths = map[string]string{"Protect": "", "Protect.Breaker": "breaker"} //nolint:gochecknoglobals // read-only table

// route makes the route that s describes.
func route(s Settings, c channel.Channel, f filters) (dispatcher.Route, error) {
	events, err := f.of(s)
	var policy retry.Policy
	var retryErr error
	if s.Has("retry") {
		policy, retryErr = retrying(s.Object("retry"))
	}
	protect, protectErr := protection(s)
	r := dispatcher.Route{
		Name:        s.Text("name"),
		Channel:     c,
		Tenant:      s.Text("tenant"),
		Events:      events,
		Retry:       policy,
		Timeout:     s.Duration("timeout"),
		Concurrency: s.Number("concurrency"),
		Order:       map[string]dispatcher.Order{"by_subject": dispatcher.BySubject, "strict": dispatcher.Strict}[s.Text("order")],
		Dedup:       dedup(s.Object("dedup")),
		MaxAge:      s.Duration("max_age"),
		State:       map[string]dispatcher.State{"disabled": dispatcher.Disabled, "paused": dispatcher.Paused}[s.Text("state")],
		Protect:     protect,
	}
	rate, backlog := s.Object("rate"), s.Object("backlog")
	r.Rate = dispatcher.Rate{Events: rate.Number("events"), Per: rate.Duration("per"), Burst: rate.Number("burst")}
	r.Backlog.Jobs = backlog.Number("jobs")
	if backlog.Text("overflow") == "drop_oldest" {
		r.Backlog.Overflow = dispatcher.DropOldest
	}
	return r, errors.Join(err, retryErr, protectErr)
}

func dedup(s Settings) channel.DedupOptions {
	return channel.DedupOptions{Window: s.Duration("window"), BreakGlass: s.Flag("break_glass", false), FailClosed: s.Flag("fail_closed", false)}
}
