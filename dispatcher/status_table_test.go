package dispatcher_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

var update = flag.Bool("update", false, "write the golden files anew")

func assertGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestWriteStatusGolden(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 20, 0, 0, 0, time.FixedZone("", 3600))
	all := []dispatcher.RouteStatus{
		{Route: named("audit"), Destination: "https://siem.example", Events: "*", Delivered: 12, Queued: 3, InFlight: 1, LastSuccess: at,
			P50: 12_345_678, P99: 1_234_567_890},
		{Route: dispatcher.RouteID{Tenant: dispatcher.AnyTenant, Name: "access requests of the whole platform"}, Events: "request.*|grant.*", State: dispatcher.Paused, Queued: 10_000, DeadLetters: 7},
		{Route: dispatcher.RouteID{Tenant: "acme", Name: "tickets"}, Events: "request.pending", FailingSince: at.Add(-time.Hour), Queued: -1, InFlight: -1, DeadLetters: -1,
			LastError: "POST https://tickets.example: 503 Service Unavailable", LastErrorAt: at, P50: 8192, P99: 90 * time.Minute},
		{Route: named("öffnet später"), OpenUntil: at, Events: "*"},
		{Route: named("gone"), Gone: true, Events: "*"},
		{Route: named("auto-disabled"), AutoDisabled: true, Events: "*"},
		{Route: named("off"), State: dispatcher.Disabled, Gone: true, Events: "*"},
		{Route: dispatcher.RouteID{Tenant: "a\u202eb", Name: "evil\n\x1b[2Jname\ttab"}, Destination: "x\r", Events: "*", FailingSince: at, LastErrorAt: at,
			LastError: "line one\nforged  line\x07 \"quoted\" " + strings.Repeat("long ", 100)},
	}
	var b bytes.Buffer
	require.NoError(t, dispatcher.WriteStatus(&b, all))
	assertGolden(t, "status.txt", b.String())
	assert.Equal(t, len(all)+1, strings.Count(b.String(), "\n"), "a line each, whatever the names")
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 120+1)
	}
}

type noWriter struct{}

func (noWriter) Write([]byte) (int, error) { return 0, errDown }

func TestWriteStatusReportsTheWriter(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, dispatcher.WriteStatus(noWriter{}, nil), errDown)
}

// addressed is a channel that says where it sends.
type addressed struct {
	channeltest.Recorder
	text func() string
}

func (a *addressed) Destination() string { return a.text() }

// Style 3: status per recipient: name, enabled, URL, events, status, number queued.
func TestStyle3StatusPerRecipient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		there := func() string { return "https://hooks.example" }
		good, bad := &addressed{text: there}, &addressed{text: there}
		bad.Script(failures(2)...)
		panics := &addressed{text: func() string { panic("x") }}
		b := start(t,
			dispatcher.Route{Name: "good", Channel: good, Events: event.Types("note.*")},
			dispatcher.Route{Name: "bad", Channel: bad, Order: dispatcher.Strict, Retry: retry.Fixed{Interval: time.Minute}},
			dispatcher.Route{Name: "off", Channel: panics, State: dispatcher.Disabled})
		b.dispatch(notes(3)...)
		synctest.Wait()
		s := b.status("good")
		assert.Equal(t, []any{"good", "enabled", "https://hooks.example", "note.*", "OK", 0},
			[]any{s.Route.Name, s.Condition(), s.Destination, s.Events, s.Health(), s.Queued})
		s = b.status("bad")
		assert.Equal(t, []any{"bad", "enabled", "*", "failing since 2000-01-01T00:00:00Z", "receiver is down", 3},
			[]any{s.Route.Name, s.Condition(), s.Events, s.Health(), s.LastError, s.Queued})
		s = b.status("off")
		assert.Equal(t, []any{"disabled", "", "-", 0}, []any{s.Condition(), s.Destination, s.Health(), s.Queued})
		advance(2 * time.Minute)
		assert.Equal(t, "OK", b.status("bad").Health())
		assert.Zero(t, b.status("bad").Queued)
	})
}

func TestStatusKnowsHowLongAttemptsTake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		for i := range 100 {
			d := 100 * time.Millisecond
			if i >= 95 {
				d = 20 * time.Second
			}
			rec.Script(channeltest.Delay(d))
		}
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.dispatch(notes(100)...)
		advance(time.Minute)
		s := b.status("r")
		assert.InEpsilon(t, float64(100*time.Millisecond), float64(s.P50), 0.15)
		assert.InEpsilon(t, float64(20*time.Second), float64(s.P99), 0.15)
	})
}

// relay is a channel that can tell whether its relay accepts.
type relay struct {
	channeltest.Recorder
	check func() error
}

func (r *relay) Check(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	return ctx.Err()
}

// Style 3: SMTP relay status: OK while the relay accepts, else its message.
func TestStyle3RelayStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var answer error
		mail := &relay{check: func() error { return answer }}
		hangs := &relay{check: func() error { <-time.After(time.Hour); return nil }}
		panics := &relay{check: func() error { panic(payloadMark) }}
		b := start(t, dispatcher.Route{Name: "mail", Channel: mail, State: dispatcher.Disabled},
			dispatcher.Route{Name: "hook", Channel: new(channeltest.Recorder)}, dispatcher.Route{Name: "panics", Channel: panics},
			dispatcher.Route{Name: "hangs", Channel: hangs, Timeout: time.Minute})
		require.NoError(t, b.Check(t.Context(), named("mail")))
		answer = errors.New("454 4.7.0 relay access denied")
		require.EqualError(t, b.Check(t.Context(), named("mail")), "454 4.7.0 relay access denied")
		require.ErrorIs(t, b.Check(t.Context(), named("hook")), errors.ErrUnsupported)
		require.ErrorAs(t, b.Check(t.Context(), named("nobody")), new(*dispatcher.RouteError))
		err := b.Check(t.Context(), named("panics"))
		require.ErrorAs(t, err, new(*channel.PanicError))
		assert.NotContains(t, err.Error(), payloadMark)
		require.ErrorContains(t, b.Check(t.Context(), named("hangs")), "deadline exceeded")
		assert.Equal(t, "-", b.status("mail").Health(), "a check is not an attempt")
		assert.Empty(t, b.seen.attempts)

		asking := make(chan error, 1)
		go func() { asking <- b.Check(t.Context(), named("hangs")) }()
		synctest.Wait()
		b.setRoutes()
		require.Error(t, <-asking, "SetRoutes waits for a check, so that the channel is not closed under it")
		require.ErrorAs(t, b.Check(t.Context(), named("mail")), new(*dispatcher.RouteError))
	})
}
