package config

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
	"github.com/tocsin-go/tocsin/retry"
)

var routeFields = sync.OnceValue(func() []Field { //nolint:gochecknoglobals // read-only, and made when needed
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
		{Name: "timeout", Kind: Duration, Min: 1, timeCap: capTimeout, Word: "none", Doc: "The time of one attempt. Default: 30s."},
		{Name: "concurrency", Kind: Number, Min: 1, numberCap: func(c Caps) int { return c.Concurrency }, Doc: "Attempts at a time. Default: 4."},
		{Name: "order", Values: []string{"parallel", "by_subject", "strict"}, Doc: "Which deliveries wait for each other: none, those about the same subject, or all. Default: parallel."},
		{Name: "dedup", Kind: Object, Doc: "Sends what is identical once. Default: off.", Fields: []Field{
			{Name: "window", Kind: Duration, Min: 1, timeCap: func(c Caps) time.Duration { return c.Dedup }, Required: true, Doc: "How long after a delivery an identical one is left out, such as 2h."},
			{Name: "break_glass", Kind: Flag, Doc: "Whether break-glass requests are left out too. Default: false."},
			{Name: "fail_closed", Kind: Flag, Doc: "Whether deliveries wait while the store fails. Default: false, they are made, perhaps twice."},
		}},
		{Name: "rate", Kind: Object, Doc: "Limits how often attempts start. Default: unlimited.", Fields: []Field{
			{Name: "events", Kind: Number, Required: true, Min: 1, Doc: "How many attempts in the time of per."},
			{Name: "per", Kind: Duration, Min: 1, Doc: "The time for events. Default: 1s."},
			{Name: "burst", Kind: Number, Min: 1, Doc: "Attempts that may start at once after an idle time. Default: 1."},
		}},
		{Name: "backlog", Kind: Object, Doc: "Bounds what waits. An engine whose queue cannot do that takes no route that has it.", Fields: []Field{
			{Name: "jobs", Kind: Number, Min: 1, numberCap: func(c Caps) int { return c.Backlog }, Doc: "The most deliveries that wait. Default: 10000 in memory, else what the queue can store."},
			{Name: "overflow", Values: []string{"reject_new", "drop_oldest"}, Doc: "What gives way. Default: reject_new."},
		}},
		{Name: "dead_letters", Kind: Object, Doc: "Bounds the dead letters that are kept. An engine whose queue cannot do that takes no route that has it.", Fields: []Field{
			{Name: "count", Kind: Number, Min: 1, numberCap: func(c Caps) int { return c.DeadLetters }, Doc: "The most of them; with one more, the oldest goes. Default: 1000."},
			{Name: "age", Kind: Duration, Min: 1, Doc: "How long one is kept. Default: as long as the queue does."},
		}},
		{Name: "max_age", Kind: Duration, Min: 1, Word: "forever", Doc: "How long an event is worth delivering. Default: 24h, or what retry needs to run to its end."},
		alertsField(),
	}, protectionFields())
})

// routePaths are the fields of documents that those of a dispatcher.Route are made of, where the name is another one.
var routePaths = map[string]string{"Protect": "", "Protect.Breaker": "breaker"} //nolint:gochecknoglobals // read-only table

// routeOf makes the route that s describes, but for Events and Retry.
func routeOf(s Settings, c channel.Channel) (dispatcher.Route, error) {
	protect, err := protectionOf(s)
	once, rate, backlog, dead := s.Object("dedup"), s.Object("rate"), s.Object("backlog"), s.Object("dead_letters")
	r := dispatcher.Route{
		Name:        s.Text("name"),
		Channel:     c,
		Tenant:      s.Text("tenant"),
		Timeout:     s.Duration("timeout"),
		Concurrency: s.Number("concurrency"),
		Order:       map[string]dispatcher.Order{"by_subject": dispatcher.BySubject, "strict": dispatcher.Strict}[s.Text("order")],
		Dedup:       channel.DedupOptions{Window: once.Duration("window"), BreakGlass: once.Flag("break_glass", false), FailClosed: once.Flag("fail_closed", false)},
		Rate:        dispatcher.Rate{Events: rate.Number("events"), Per: rate.Duration("per"), Burst: rate.Number("burst")},
		Backlog:     dispatcher.Backlog{Jobs: backlog.Number("jobs"), Overflow: map[string]dispatcher.Overflow{"drop_oldest": dispatcher.DropOldest}[backlog.Text("overflow")]},
		DeadLetters: dispatcher.DeadLetterLimit{Count: dead.Number("count"), Age: dead.Duration("age")},
		MaxAge:      s.Duration("max_age"),
		State:       stateOf(s.v),
		Protect:     protect,
	}
	return r, err
}

// retryPolicy makes the policy that the field retry of a route describes: a schedule, or a fixed or growing interval
// bounded by count, duration, both or neither.
func retryPolicy(route Settings) (retry.Policy, error) {
	if !route.Has("retry") {
		return nil, nil //nolint:nilnil // the default
	}
	s := route.Object("retry")
	var errs []error
	beside := func(field string, others ...string) {
		for _, other := range others {
			if s.Has(field) && s.Has(other) {
				errs = append(errs, s.Mistake(other, channel.CodeConflict, "is set beside "+field, "remove one of them"))
			}
		}
	}
	beside("schedule", "count", "interval", "duration", "initial", "longest")
	beside("interval", "initial", "longest")
	if s.Has("schedule") && len(s.Durations("schedule")) == 0 {
		errs = append(errs, s.Mistake("schedule", channel.CodeMissing, "is empty", "list the pause before each attempt, the first included, such as [0s, 5s, 5m]"))
	}
	if s.Has("initial") && s.Has("longest") && s.Duration("longest") < s.Duration("initial") {
		errs = append(errs, s.Mistake("longest", channel.CodeConflict, "is shorter than initial", "raise it"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if s.Has("schedule") {
		return retry.Schedule(s.Durations("schedule")), nil
	}
	var p retry.Policy = retry.Exponential{Initial: s.Duration("initial"), Max: s.Duration("longest")}
	if s.Has("interval") {
		p = retry.Fixed{Interval: s.Duration("interval"), For: s.Duration("duration")}
	} else if s.Has("duration") {
		p = retry.Within(s.Duration("duration"), p)
	}
	if s.Has("count") {
		p = retry.AtMost(1+s.Number("count"), p)
	}
	return p, nil
}

func protectionFields() []Field {
	return []Field{
		{Name: "breaker", Kind: Object, Doc: "Lets one attempt through at growing intervals while the destination fails, instead of one for everything that waits. Default: on, with the defaults below.", Fields: []Field{
			{Name: "failures", Kind: Number, Min: 1, Doc: "How many deliveries fail in a row before it opens. Default: 10."},
			{Name: "pause", Kind: Duration, Min: 1, Doc: "The first pause; it doubles with every failure after. Default: 30s."},
			{Name: "max_pause", Kind: Duration, Min: 1, Doc: "The longest pause. Default: 15m."},
			{Name: "off", Kind: Flag, Doc: "Whether there is none. Default: false."},
		}},
		{Name: "disable_after", Kind: Duration, Min: 1, Doc: "Pauses the route after failing for so long without a success, until its channel is another one, or until it is paused and enabled again. Default: never."},
		{Name: "fallback", Doc: "Name of the route that gets what this one could not deliver. Default: none."},
	}
}

// protectionOf makes what s describes.
func protectionOf(s Settings) (dispatcher.Protection, error) {
	b := s.Object("breaker")
	var err error
	if pause := cmp.Or(b.Duration("pause"), dispatcher.DefaultBreakerPause); b.Has("max_pause") && b.Duration("max_pause") < pause {
		err = b.Mistake("max_pause", channel.CodeConflict, "is shorter than the first pause of "+duration.Text(pause), "raise it")
	}
	breaker := dispatcher.Breaker{Failures: b.Number("failures"), Pause: b.Duration("pause"), MaxPause: b.Duration("max_pause")}
	if b.Flag("off", false) {
		breaker.Failures = -1
		for _, field := range []string{"failures", "pause", "max_pause"} {
			if b.Has(field) {
				err = errors.Join(err, b.Mistake(field, channel.CodeConflict, "is set beside off", "remove one of them"))
			}
		}
	}
	return dispatcher.Protection{
		Breaker:      breaker,
		DisableAfter: s.Duration("disable_after"),
		Fallback:     s.Text("fallback"),
	}, err
}
