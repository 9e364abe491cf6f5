package manage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// TestInput says what a test sends. The event is a realistic one of the type, or the one given, and always marked as a
// test, with a new id.
type TestInput struct {
	EventType event.Type
	Event     json.RawMessage // in the JSON form of events, without id and time if need be; nil = a sample of EventType
	// Channel is one that need not be stored, and Routes are its own: the first one's settings count. nil = as stored.
	Channel *ChannelInput
}

// TestResult is what came of a test.
type TestResult struct {
	OK             bool
	Stage          Stage  // where it ended
	Verdict        string // retry.Verdict in words
	Error          string // "" = none
	Status         int    // HTTP status or SMTP reply code; 0 = there was no answer
	Duration       time.Duration
	OutcomeUnknown bool
	Request        *channel.Message // redacted; from StageGuard on it is there, at StageRender as far as it was made
	Response       *channel.Message // redacted; nil = there was none, or it is not shown
}

// Stage is where a test ended.
type Stage string

// The stages, in their order.
const (
	StageRender  Stage = "render"  // the request could not be made from the event
	StageGuard   Stage = "guard"   // the destination is not allowed
	StageConnect Stage = "connect" // nobody could be connected to
	StageTLS     Stage = "tls"     // TLS could not be agreed on
	StageSend    Stage = "send"    // the connection ended before there was an answer
	StageAnswer  Stage = "answer"  // there was an answer
)

// Test sends one event through a channel, as stored under the name, or as in.Channel says: whatever the channel's
// state, with the tenant's guard, and without a retry. The error is nil also when the receiver could not be reached:
// the result says so. Stored secrets are used for the destination that they are stored for only.
func (s *Service) Test(ctx context.Context, by By, name string, in TestInput) (TestResult, error) {
	if s.ending.Load() {
		return TestResult{}, newError(CodeShutDown, "the service is shut down", "")
	}
	v, o := s.viewOf(by.Tenant), s.configOf(by.Tenant)
	e, err := s.testEvent(by.Tenant, o, in)
	if err != nil {
		return TestResult{}, err
	}
	d, name, err := s.testDocument(v, name, o, in)
	if err != nil {
		return TestResult{}, err
	}
	end, wrong := s.room(by.Tenant).tests.begin(time.Now(), s.options.Limits.Tests)
	if wrong != nil {
		return TestResult{}, wrong
	}
	defer end()
	o.Lenient, o.Previous, o.MaxSize = true, v.set, 0
	set, err := d.Load(o)
	if err != nil {
		return TestResult{}, fieldsError(err, "")
	}
	defer func() { _ = set.Close() }()
	for _, b := range set.Broken {
		if b.Channel == name {
			return TestResult{}, fieldsError(b.Err, "")
		}
	}
	route := d.RoutesOf(name)[0]
	i := slices.IndexFunc(set.Routes, func(r dispatcher.Route) bool { return r.Name == route })
	r := set.Routes[i]
	r.Dedup = channel.DedupOptions{}
	ctx, cancel := context.WithTimeout(ctx, s.options.Limits.Test)
	defer cancel()
	receipt, err := s.engine.Test(ctx, r, e)
	result := resultOf(receipt, err)
	if s.hidesAnswers(d, name) {
		result.Response = withoutAnswer(result.Response)
	}
	c := event.ConfigChange{Channel: name, Actor: by.Actor, Outcome: string(result.Stage) + ": success"}
	if err != nil {
		c.Outcome = string(result.Stage) + ": " + result.Error
	}
	s.tell(ctx, by.Tenant, event.TypeChannelTested, c)
	return result, nil
}

// testDocument returns a document that has the channel, and a route of it.
func (s *Service) testDocument(v *view, name string, o config.Options, in TestInput) (*config.Document, string, error) {
	d := v.document()
	if in.Channel != nil {
		if err := s.limit(*in.Channel); err != nil {
			return nil, "", err
		}
		if name == "" {
			name = cmp.Or(textOf(in.Channel.Channel, "name"), "test")
		}
		routes := in.Channel.Routes
		if d.Channel(name) == nil && len(routes) > 0 { // their names may be anybody's
			routes = routes[:1]
		}
		next, err := ChannelInput{in.Channel.Channel, routes}.put(d, name, o)
		if err != nil {
			return nil, "", err
		}
		d = next
	}
	switch {
	case d.Channel(name) == nil:
		return nil, "", noChannel(name)
	case len(d.RoutesOf(name)) > 0:
		return d, name, nil
	}
	route := name
	for d.Route(route) != nil {
		route += "+"
	}
	d, err := d.SetRoute(route, slices.Concat([]byte(`{"channel": `), quote(name), []byte("}")), o)
	if err != nil {
		return nil, "", fieldsError(err, "")
	}
	return d, name, nil
}

// testEvent makes the event of a test.
func (s *Service) testEvent(tenant string, o config.Options, in TestInput) (event.Event, error) {
	wrong := func(field string, code channel.ConfigCode, problem, remedy string) (event.Event, error) {
		return event.Event{}, &Error{Code: CodeFields, Fields: []FieldError{{field, code, problem, remedy, 0, 0}}}
	}
	now := time.Now()
	switch {
	case len(in.Event) > s.options.Limits.Sample:
		return event.Event{}, newError(CodeTooLarge, fmt.Sprintf("the event has more than %d bytes", s.options.Limits.Sample), "make it smaller")
	case in.Event != nil:
		e, err := s.givenEvent(tenant, in.Event, now)
		if err != nil {
			return wrong("/event", channel.CodeInvalid, err.Error(), "give an event of this form: GET the event type's sample")
		}
		return e, nil
	case in.EventType == "":
		return wrong("/event_type", channel.CodeMissing, "is missing", "name a type of events, or give an event")
	}
	if e, err := event.SampleForTest(in.EventType, event.Meta{Tenant: tenant, Source: s.options.Engine.Source}); err == nil {
		return e, nil
	}
	for _, sample := range o.Samples {
		if sample.Type() == in.EventType {
			if e, err := s.givenEvent(tenant, sample.JSON(), now); err == nil {
				return e, nil
			}
		}
	}
	return wrong("/event_type", channel.CodeUnknown, "has no sample", "name a type of the catalogue, or give an event")
}

// givenEvent makes a test event of a given form: of the tenant, with a new id and time.
func (s *Service) givenEvent(tenant string, form []byte, now time.Time) (event.Event, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(form, &fields); err != nil || fields == nil {
		return event.Event{}, errors.New("is not a JSON object")
	}
	seed, err := event.SampleForTest(event.TypeRequestPending, event.Meta{Time: now})
	if err != nil {
		return event.Event{}, err
	}
	stamp, err := json.Marshal(event.At(now))
	if err != nil {
		return event.Event{}, err
	}
	fields["id"], fields["event_time"], fields["tenant"] = quote(seed.ID()), stamp, quote(tenant)
	text, err := json.Marshal(fields)
	if err != nil {
		return event.Event{}, err
	}
	e, err := event.Parse(text)
	if err != nil {
		return event.Event{}, err
	}
	return e.ForTest(), nil
}

func resultOf(receipt channel.Receipt, err error) TestResult {
	r := TestResult{
		OK: err == nil, Stage: stageOf(receipt, err), Verdict: retry.Classify(context.Background(), err).Verdict.String(), Status: receipt.Status, Duration: receipt.Duration,
		OutcomeUnknown: receipt.OutcomeUnknown, Request: receipt.Request, Response: receipt.Response,
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// stageOf says how far an attempt came.
func stageOf(receipt channel.Receipt, err error) Stage {
	if err == nil || receipt.Status != 0 || receipt.Response != nil {
		return StageAnswer
	}
	kind := netguard.Kind("") // not errors.Is: a name of a refused address must look like an unknown one
	if e, ok := errors.AsType[*webhook.Error](err); ok {
		kind = e.Kind
	}
	if e, ok := errors.AsType[*email.Error](err); ok {
		kind = e.Kind
		switch e.Stage {
		case email.StageTLS:
			return StageTLS
		case email.StageConnect, "":
		default:
			return StageSend
		}
	}
	if e, ok := errors.AsType[*netguard.Error](err); ok {
		kind = e.Kind
	}
	switch kind {
	case netguard.KindBlocked, netguard.KindRequest:
		return StageGuard
	case netguard.KindDNS, netguard.KindConnect, netguard.KindConnectTimeout, netguard.KindProxy:
		return StageConnect
	case netguard.KindTLS, netguard.KindTLSCert, netguard.KindTLSVersion, netguard.KindTLSCipher, netguard.KindTLSClientCert, netguard.KindTLSTimeout:
		return StageTLS
	case webhook.KindRender, webhook.KindRenderTimeout, webhook.KindTooLarge, webhook.KindNoEvent, webhook.KindSecret, email.KindNoRecipient:
		return StageRender
	default:
		return StageSend
	}
}

// begin counts a test. It returns what ends it.
func (t *tests) begin(now time.Time, most int) (end func(), wrong *Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = slices.DeleteFunc(t.began, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	switch {
	case t.running >= testsAtOnce:
		return nil, &Error{Code: CodeRate, Detail: fmt.Sprintf("%d tests run already", t.running), Remedy: "wait for them", RetryAfter: time.Second}
	case len(t.began) >= most:
		return nil, &Error{Code: CodeRate, Detail: fmt.Sprintf("there were %d tests in the last minute", len(t.began)), Remedy: "wait",
			RetryAfter: time.Minute - now.Sub(t.began[0])}
	}
	t.running++
	t.began = append(t.began, now)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.running--
	}, nil
}

// CheckResult is whether a relay or an endpoint would take a delivery now.
type CheckResult struct {
	OK      bool
	Message string // why not, which may name the relay's reply code; "" = OK
}

// Check asks the relay or endpoint of a channel whether it would take a delivery now. A channel that cannot tell
// without sending is a CodeUnsupported.
func (s *Service) Check(ctx context.Context, tenant, name string) (CheckResult, error) {
	d := s.viewOf(tenant).document()
	if d.Channel(name) == nil {
		return CheckResult{}, noChannel(name)
	}
	routes := d.RoutesOf(name)
	if len(routes) == 0 {
		return CheckResult{}, newError(CodeState, "no route uses the channel", "give it one first")
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Limits.Test)
	defer cancel()
	err := s.engine.Check(ctx, dispatcher.RouteID{Tenant: tenant, Name: routes[0]})
	switch {
	case err == nil:
		return CheckResult{OK: true}, nil
	case errors.Is(err, errors.ErrUnsupported):
		return CheckResult{}, newError(CodeUnsupported, "this kind of channel cannot tell without sending", "send a test")
	default:
		return CheckResult{Message: err.Error()}, nil
	}
}
