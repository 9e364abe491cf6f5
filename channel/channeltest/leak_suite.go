package channeltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// LeakSuite tells [RunLeaks] how to make the channel under test from its configuration, a C.
type LeakSuite[C any] struct {
	// Config returns a complete configuration: every exported pointer that leads to a secret.Value is set, every such
	// slice and map has an element. RunLeaks puts a value of its own into each secret.Value, whatever was there. Where
	// fields exclude each other, run a suite for each. Required.
	Config func() C
	// New makes a channel of c whose destination answers every attempt as answer says; it may complete c, with the
	// address of the destination for example. An error is one of what is searched: some configurations hold values that
	// cannot be used. As in [Suite], let destinations repeat all they were sent, and end with t.Cleanup what New
	// starts. Required.
	New func(t *testing.T, c C, answer Answer) (channel.Channel, error)
	// Unsupported is as in Suite.
	Unsupported []Answer
	// Text makes the value for a field that needs one of a certain form; random must be part of it, as it is. field is
	// named as in "Headers[0].Secret". nil, or "" as its result, is a value that fits into a header and a URL.
	Text func(field, random string) string
}

// RunLeaks checks that no credential in a configuration leaves the channel. It finds every secret.Value by
// reflection, in unexported fields too, and plants a text in it; one that cannot be planted fails the test. Then it
// drives the channel through success, every class of error, sources that fail or panic, values that cannot be used, and
// a panic in Send, and searches for the texts, in all encodings, in the errors, the receipts, the logs (package log and
// the default logger included), the configuration as it is printed, and the channel as it is printed: itself, copies of
// what it points to, and whatever holds or embeds one, by every verb.
//
// Values behind functions and behind pointers to types without exported fields are out of its sight. Because it
// replaces the default logger for a while it must not run in parallel with other tests.
func RunLeaks[C any](t *testing.T, s LeakSuite[C]) {
	t.Helper()
	if s.Config == nil || s.New == nil {
		t.Fatal("LeakSuite.Config or LeakSuite.New is nil: set both")
	}
	whole := s.plant(t, literal)
	if t.Failed() {
		return
	}
	for _, a := range answers() {
		if slices.Contains(s.Unsupported, a) {
			t.Logf("not checked: the destination is declared to have no response of class %s", a)
			continue
		}
		t.Run("literal, "+a.String(), func(t *testing.T) { s.drive(t, a, literal) })
	}
	t.Run("function", func(t *testing.T) { s.drive(t, Accepted, function) })
	t.Run("function, Unavailable", func(t *testing.T) { s.drive(t, Unavailable, function) })
	t.Run("unusable", func(t *testing.T) { s.drive(t, Accepted, unusable) })
	for i, p := range whole.planted {
		only := func(kind planting) planting {
			return func(field, text string) secret.Value {
				if field == p.field {
					return kind(field, text)
				}
				return function(field, text)
			}
		}
		t.Run(fmt.Sprintf("failing source %d", i+1), func(t *testing.T) { s.drive(t, Accepted, only(failing)) })
		t.Run(fmt.Sprintf("panicking source %d", i+1), func(t *testing.T) { s.drive(t, Accepted, only(panicking)) })
		t.Run(fmt.Sprintf("unusable value %d", i+1), func(t *testing.T) { s.drive(t, Accepted, only(unusableLater)) })
	}
}

// planting makes the value for a field.
type planting func(field, text string) secret.Value

func literal(_, text string) secret.Value { return secret.Literal(text) }

func function(field, text string) secret.Value {
	return secret.Func(field, func(context.Context) ([]byte, error) { return []byte(text), nil })
}

// unusable is refused by most fields, when the channel is made or later.
func unusable(_, text string) secret.Value { return secret.Literal(text + "\r\n\x00") }

func unusableLater(field, text string) secret.Value { return function(field, text+"\r\n\x00") }

func failing(field, text string) secret.Value {
	return secret.Func(field, func(context.Context) ([]byte, error) { return nil, errors.New("denied: " + text) })
}

func panicking(field, text string) secret.Value {
	return secret.Func(field, func(context.Context) ([]byte, error) {
		panic(text) //nolint:forbidigo // a fake of a broken source
	})
}

// leaks is a configuration with what was planted in it.
type leaks[C any] struct {
	config  C
	planted []planted
}

type planted struct{ field, text string }

// plant makes a configuration with values of the given kind.
func (s LeakSuite[C]) plant(t *testing.T, kind planting) leaks[C] {
	t.Helper()
	l := leaks[C]{config: s.Config()}
	g := planter{plant: func(field string) secret.Value {
		random := rand.Text()
		// These characters look different in every encoding, and may stand in a header, a path and a query.
		text := "leak-" + random + "/+&~"
		if s.Text != nil {
			if own := s.Text(field, random); own != "" {
				text = own
			}
		}
		l.planted = append(l.planted, planted{field, text})
		return kind(field, text)
	}}
	g.walk(&l.config)
	for _, p := range g.problems {
		t.Error(p)
	}
	if len(l.planted) == 0 {
		t.Error("the configuration holds no secret.Value, so that there is nothing to check")
	}
	return l
}

// drive makes a channel and attempts of all sorts, and searches what comes out.
func (s LeakSuite[C]) drive(t *testing.T, a Answer, kind planting) {
	t.Helper()
	l := s.plant(t, kind)
	logs := captureLogs(t)
	c, err := s.New(t, l.config, a)
	l.search(t, "the error of New", printError(err)...)
	l.search(t, "the printed configuration", append(printValue(l.config), printValue(&l.config)...)...)
	logs.log("made", l.config, err)
	if err == nil && c == nil {
		t.Fatalf("LeakSuite.New returned nil for %s: return a channel, or list the class in Unsupported", a)
	}
	if err == nil {
		for what, r := range map[string]result{
			"an attempt":                  attemptAny(t, c, a, sample()),
			"an attempt without an event": attemptAny(t, c, a, channel.Delivery{}),
			"an attempt that panics":      sendWithoutContext(t, c),
		} {
			l.search(t, "the error of "+what, printError(r.err)...)
			l.search(t, "the receipt of "+what, printReceipt(r.receipt))
			logs.log(what, r.receipt, r.err)
		}
		logs.log("channel", c, nil)
		l.search(t, "the printed channel", printCopies(c)...)
		if closer, ok := c.(io.Closer); ok {
			err := closer.Close()
			l.search(t, "the error of Close", printError(err)...)
		}
	}
	l.search(t, "the log", logs.String())
}

// sendWithoutContext calls Send without a context, which most channels answer with a panic somewhere deep inside.
func sendWithoutContext(t *testing.T, c channel.Channel) result {
	t.Helper()
	done := make(chan result, 1)
	go func() {
		var missing context.Context
		var r result
		r.receipt, r.err = channel.Recover(c).Send(missing, sample())
		done <- r
	}()
	ctx, cancel := context.WithTimeout(t.Context(), sendTimeout)
	defer cancel()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		return result{} // a silent destination, and a channel that does not mind
	}
}

// search reports what was planted by its field, never by its text.
func (l leaks[C]) search(t *testing.T, where string, texts ...string) {
	t.Helper()
	for _, p := range l.planted {
		if form := findSecret(p.text, texts); form != "" {
			t.Errorf("%s holds the value of %s (%s)", where, p.field, form)
		}
	}
}

// logCapture keeps what is logged, by the channel and by a host that logs all it gets.
type logCapture struct {
	mu     sync.Mutex
	text   bytes.Buffer
	logger []*slog.Logger
}

// captureLogs makes the default logger, and with it package log, write to a new capture until the test ends.
func captureLogs(t *testing.T) *logCapture {
	t.Helper()
	l := &logCapture{}
	everything := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	l.logger = []*slog.Logger{slog.New(slog.NewTextHandler(l, everything)), slog.New(slog.NewJSONHandler(l, everything))}
	before, out, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(l.logger[0])
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(out) // which SetDefault has changed and does not change back
		log.SetFlags(flags)
	})
	return l
}

// log is what a host might do with what it has.
func (l *logCapture) log(what string, v any, err error) {
	for _, logger := range l.logger {
		logger.Error("channeltest", "what", what, "value", v, "error", err)
	}
}

// Write implements io.Writer.
func (l *logCapture) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns what was logged so far.
func (l *logCapture) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
