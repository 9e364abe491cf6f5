package channeltest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/retry"
)

// plantedSecret is what the imitations have planted. It is encoded differently in each of the forms that are searched
// for.
const plantedSecret = "s3cr3t/t0ken+\"value\""

// honest keeps the contract.
func honest(a channeltest.Answer) channel.Func {
	return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
		r := channel.Receipt{Status: 503, Duration: time.Millisecond, Request: &channel.Message{Body: d.Event.JSON()}}
		switch a {
		case channeltest.Accepted:
			r.Status = 200
			return r, nil
		case channeltest.Unavailable:
			return r, errDown
		case channeltest.Throttled:
			return r, retry.Throttle(errDown, channeltest.ThrottleDelay)
		case channeltest.Rejected:
			return r, retry.Permanent(errDown)
		case channeltest.Gone:
			return r, retry.Permanent(fmt.Errorf("no such room: %w", channel.ErrGone))
		case channeltest.Silent:
			<-ctx.Done()
			return channel.Receipt{OutcomeUnknown: true}, ctx.Err()
		}
		return channel.Receipt{}, errors.New("no such answer")
	}
}

// suiteOf makes a suite of a function that returns the channel for an answer.
func suiteOf(open func(a channeltest.Answer) channel.Func) channeltest.Suite {
	return channeltest.Suite{
		New:     func(_ *testing.T, a channeltest.Answer) channel.Channel { return open(a) },
		Secrets: []string{plantedSecret},
	}
}

// onlyFor is honest, but for one answer.
func onlyFor(a channeltest.Answer, send channel.Func) channeltest.Suite {
	return suiteOf(func(given channeltest.Answer) channel.Func {
		if given == a {
			return send
		}
		return honest(given)
	})
}

// after lets spoil change what an honest channel returns.
func after(spoil func(a channeltest.Answer, d channel.Delivery, r *channel.Receipt, err *error)) channeltest.Suite {
	return suiteOf(func(a channeltest.Answer) channel.Func {
		return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			r, err := honest(a)(ctx, d)
			spoil(a, d, &r, &err)
			return r, err
		}
	})
}

func failWith(err error) channel.Func {
	return func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, err }
}

// talkative keeps its token where every printer finds it.
type talkative struct {
	channel.Func
	token string
}

// shy hides its token from every verb, but not in a copy.
type shy struct {
	channel.Func
	token string
}

func (*shy) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("shy")) }

// shyValue hides its token in copies as well, but not inside of another value.
type shyValue struct {
	channel.Func
	token string
}

func (shyValue) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("shy")) }

// leaky cannot be closed without an error.
type leaky struct{ channel.Func }

func (leaky) Close() error { return errDown }

type brokenChannel struct {
	suite channeltest.Suite
	fails []string // rules
	says  string
}

// broken returns a channel for each way to break the contract.
func broken() map[string]brokenChannel {
	return map[string]brokenChannel{
		// Verdicts
		"an error for a success": {onlyFor(channeltest.Accepted, failWith(errDown)),
			[]string{"success", "concurrency", "same_delivery_again", "every_event", "hostile_text"}, "the destination takes the event"},
		"unavailable is permanent": {onlyFor(channeltest.Unavailable, failWith(retry.Permanent(errDown))),
			[]string{"transient"}, "is permanent, want transient"},
		"unavailable is gone": {onlyFor(channeltest.Unavailable, failWith(channel.ErrGone)),
			[]string{"transient"}, "which would end all delivery"},
		"unavailable is a success": {onlyFor(channeltest.Unavailable, failWith(nil)),
			[]string{"transient"}, "is success, want transient"},
		"an error without a text": {onlyFor(channeltest.Unavailable, failWith(errors.New(""))),
			[]string{"transient"}, "the error has no text"},
		"throttled without a delay": {onlyFor(channeltest.Throttled, failWith(errDown)),
			[]string{"throttled"}, "the error's delay is 0s"},
		"throttled for too long": {onlyFor(channeltest.Throttled, failWith(retry.Throttle(errDown, time.Hour))),
			[]string{"throttled"}, "the error's delay is 1h0m0s"},
		"throttled for one delivery": {onlyFor(channeltest.Throttled, failWith(retry.Delay(errDown, channeltest.ThrottleDelay))),
			[]string{"throttled"}, "is not marked with retry.Throttle"},
		"rejected is transient": {onlyFor(channeltest.Rejected, failWith(errDown)),
			[]string{"permanent"}, "is transient, want permanent"},
		"gone is only permanent": {onlyFor(channeltest.Gone, failWith(retry.Permanent(errDown))),
			[]string{"gone"}, "errors.Is(err, channel.ErrGone) is false"},
		"gone is tried again": {onlyFor(channeltest.Gone, failWith(channel.ErrGone)),
			[]string{"gone"}, "is transient, want permanent"},

		// Cancellation
		"a timeout is permanent": {after(func(a channeltest.Answer, _ channel.Delivery, _ *channel.Receipt, err *error) {
			if a == channeltest.Silent {
				*err = retry.Permanent(*err)
			}
		}), []string{"own_timeout", "cancelled", "cancelled_before"}, "is permanent, want postponed"},
		"a timeout is a success": {after(func(a channeltest.Answer, _ channel.Delivery, _ *channel.Receipt, err *error) {
			if a == channeltest.Silent {
				*err = nil
			}
		}), []string{"own_timeout", "cancelled", "cancelled_before"}, "has not answered and Send returned no error"},
		"silence is not waited for": {onlyFor(channeltest.Silent, failWith(errDown)),
			[]string{"own_timeout", "cancelled"}, "Send returned before its context was done"},
		"cancelling is ignored": {onlyFor(channeltest.Silent, func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
			<-ctx.Done()
			if errors.Is(ctx.Err(), context.Canceled) {
				select {}
			}
			return channel.Receipt{}, ctx.Err()
		}), []string{"cancelled", "cancelled_before"}, "Send has not returned 2s after its context was done"},

		// Events
		"one at a time": {suiteOf(func(a channeltest.Answer) channel.Func {
			var busy atomic.Int32
			return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				defer busy.Add(-1)
				if busy.Add(1) > 1 {
					return channel.Receipt{}, errors.New("busy")
				}
				<-time.After(time.Millisecond) // or the goroutines would never meet
				return honest(a)(ctx, d)
			}
		}), []string{"concurrency"}, "busy"},
		"receipts of others": {suiteOf(func(a channeltest.Answer) channel.Func {
			var mu sync.Mutex
			var first []byte
			return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				r, err := honest(a)(ctx, d)
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = d.Event.JSON()
				}
				r.Request = &channel.Message{Body: first}
				return r, err
			}
		}), []string{"concurrency"}, "shows the request of goroutine"},
		"changes the data": {after(func(_ channeltest.Answer, d channel.Delivery, _ *channel.Receipt, _ *error) {
			if data := d.Event.Data(); data != nil {
				data[0] = '['
			}
		}), []string{"event_unchanged"}, "the bytes of Event.Data() have changed"},
		"changes the JSON form": {after(func(_ channeltest.Answer, d channel.Delivery, _ *channel.Receipt, _ *error) {
			if form := d.Event.JSON(); form != nil {
				form[0] = '['
			}
		}), []string{"event_unchanged"}, "the bytes of Event.JSON() have changed"},
		"refuses repetitions": {suiteOf(func(a channeltest.Answer) channel.Func {
			var known sync.Map
			return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				if _, again := known.LoadOrStore(d.ID(), true); again && a == channeltest.Accepted {
					return channel.Receipt{}, errors.New("sent before")
				}
				return honest(a)(ctx, d)
			}
		}), []string{"same_delivery_again"}, "sent before"},
		"knows requests only": {after(func(a channeltest.Answer, d channel.Delivery, _ *channel.Receipt, err *error) {
			if a == channeltest.Accepted && !strings.HasPrefix(string(d.Event.Type()), "request.") {
				*err = errors.New("unknown event")
			}
		}), []string{"every_event"}, "grant.active"},
		"trips over a quote": {after(func(a channeltest.Answer, d channel.Delivery, _ *channel.Receipt, err *error) {
			if a == channeltest.Accepted && bytes.Contains(d.Event.Data(), []byte(`"justification":"\""`)) {
				*err = retry.Permanent(errors.New("not JSON"))
			}
		}), []string{"hostile_text"}, "not JSON"},
		"panics without an event": {after(func(_ channeltest.Answer, d channel.Delivery, _ *channel.Receipt, _ *error) {
			_ = d.Event.JSON()[0]
		}), []string{"no_event"}, "channel panicked: runtime error: index out of range"},

		// Receipts
		"a negative duration": {after(func(_ channeltest.Answer, _ channel.Delivery, r *channel.Receipt, err *error) {
			if *err != nil {
				r.Duration = -1
			}
		}), []string{"receipt"}, "must not be negative"},
		"skipped and failed": {after(func(_ channeltest.Answer, _ channel.Delivery, r *channel.Receipt, err *error) {
			r.Skipped = *err != nil
		}), []string{"receipt"}, "says that the event was skipped"},
		"a success of unknown outcome": {after(func(_ channeltest.Answer, _ channel.Delivery, r *channel.Receipt, err *error) {
			r.OutcomeUnknown = *err == nil
		}), []string{"receipt"}, "says that the outcome is unknown"},
		"receipts share a buffer": {suiteOf(func(a channeltest.Answer) channel.Func {
			var mu sync.Mutex
			sends, buffer := 0, make([]byte, 1)
			return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				r, err := honest(a)(ctx, d)
				mu.Lock()
				defer mu.Unlock()
				sends++
				buffer[0] = strconv.Itoa(sends)[0]
				r.Response = &channel.Message{Body: buffer}
				return r, err
			}
		}), []string{"receipt_unchanged"}, "has changed with the second"},

		// Leaks
		"the secret in an error": {after(func(a channeltest.Answer, _ channel.Delivery, _ *channel.Receipt, err *error) {
			if a == channeltest.Rejected {
				*err = retry.Permanent(fmt.Errorf("refused: %w", errors.New("bad token "+plantedSecret)))
			}
		}), []string{"no_secret"}, "Rejected: the error holds Suite.Secrets[0] (as it is)"},
		"the secret in a joined error": {after(func(a channeltest.Answer, _ channel.Delivery, _ *channel.Receipt, err *error) {
			if a == channeltest.Unavailable {
				*err = opaque{errors.Join(errDown, errors.New("bad token "+plantedSecret))}
			}
		}), []string{"no_secret"}, "Unavailable: the error holds Suite.Secrets[0] (as it is)"},
		"basic authentication in a receipt": {after(func(_ channeltest.Answer, _ channel.Delivery, r *channel.Receipt, _ *error) {
			r.Response = &channel.Message{Body: []byte("got " + base64.StdEncoding.EncodeToString([]byte("user:"+plantedSecret+"!")))}
		}), []string{"no_secret"}, "the receipt holds Suite.Secrets[0] (in base64 for URLs, shifted by 2)"},
		"the secret in the channel": {channeltest.Suite{
			New:     func(_ *testing.T, a channeltest.Answer) channel.Channel { return &talkative{honest(a), plantedSecret} },
			Secrets: []string{plantedSecret},
		}, []string{"no_secret"}, "the printed channel holds Suite.Secrets[0]"},
		"the secret in a copy of the channel": {channeltest.Suite{
			New:     func(_ *testing.T, a channeltest.Answer) channel.Channel { return &shy{honest(a), plantedSecret} },
			Secrets: []string{plantedSecret},
		}, []string{"no_secret"}, "the printed channel holds Suite.Secrets[0]"},
		"the secret in what holds the channel": {channeltest.Suite{
			New:     func(_ *testing.T, a channeltest.Answer) channel.Channel { return shyValue{honest(a), plantedSecret} },
			Secrets: []string{plantedSecret},
		}, []string{"no_secret"}, "the printed channel holds Suite.Secrets[0]"},
		"a goroutine of Send": {suiteOf(func(a channeltest.Answer) channel.Func {
			return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				go func() { select {} }()
				return honest(a)(ctx, d)
			}
		}), []string{"no_goroutine"}, "left 2s after"},
		"a goroutine of New": {suiteOf(func(a channeltest.Answer) channel.Func {
			go func() { select {} }()
			return honest(a)
		}), []string{"no_goroutine"}, "left 2s after"},
		"an error of Close": {channeltest.Suite{
			New: func(_ *testing.T, a channeltest.Answer) channel.Channel { return leaky{honest(a)} },
		}, []string{"success", "transient", "throttled", "permanent", "gone", "own_timeout", "cancelled", "cancelled_before", "concurrency",
			"event_unchanged", "same_delivery_again", "every_event", "hostile_text", "no_event", "receipt", "receipt_unchanged", "no_goroutine"},
			"Close: down"},

		// Suites that cannot be run
		"no New":         {channeltest.Suite{}, nil, "Suite.New is nil"},
		"short secret":   {channeltest.Suite{New: suiteOf(honest).New, Secrets: []string{"short"}}, nil, "Suite.Secrets[0] is shorter than 8"},
		"never answers":  {channeltest.Suite{New: suiteOf(honest).New, Unsupported: []channeltest.Answer{channeltest.Accepted, channeltest.Silent}}, nil, "Suite.Unsupported holds Accepted"},
		"never succeeds": {channeltest.Suite{New: suiteOf(honest).New, Unsupported: []channeltest.Answer{channeltest.Accepted}}, nil, "Suite.Unsupported holds Accepted"},
	}
}

// opaque hides the text of the error it wraps, but not the error.
type opaque struct{ err error }

func (opaque) Error() string              { return "refused" }
func (opaque) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("refused")) }
func (q opaque) Unwrap() error            { return q.err }
