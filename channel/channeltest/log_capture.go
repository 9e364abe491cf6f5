package channeltest

import (
	"bytes"
	"log"
	"log/slog"
	"sync"
	"testing"
)

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
