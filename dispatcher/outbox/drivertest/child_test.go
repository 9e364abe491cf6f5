package drivertest

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

// planVariable is where a child finds its plan, as JSON.
const planVariable = "OUTBOX_TEST_PLAN"

// plan is what a child is to do: relay to a file, until its standard input ends.
type plan struct {
	Dialect outbox.Dialect
	Driver  string
	Address string
	Table   string
	File    string
}

func runChild(form string) {
	if err := relayToFile(form); err != nil {
		log.Fatal(err) //nolint:forbidigo // the main of a process of its own
	}
}

func relayToFile(form string) error {
	var p plan
	if err := json.Unmarshal([]byte(form), &p); err != nil {
		return err
	}
	db, err := sql.Open(p.Driver, p.Address)
	if err != nil {
		return err
	}
	defer db.Close()
	box, err := outbox.New(p.Dialect, outbox.Options{Table: p.Table})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(p.File, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	relay, err := outbox.NewRelay(db, box, &fileSink{file: file}, outbox.RelayOptions{
		Poll: 5 * time.Millisecond, Lease: time.Second, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return relay.Run(ctx)
}

// fileSink appends a line for each call: what a process has written is there after kill -9. The last line of one that
// was killed may be cut.
type fileSink struct {
	file *os.File
	once sync.Once
}

func (s *fileSink) Dispatch(ctx context.Context, events ...event.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(events) > 5 { // many calls, so that kills fall between them
		return &dispatcher.BacklogError{Lanes: []string{"file"}}
	}
	var b strings.Builder
	b.WriteString("\n")
	for _, e := range events {
		b.WriteString(e.ID() + ";\n")
	}
	return s.write(b.String())
}

func (s *fileSink) Schedule(_ context.Context, _ time.Time, key string, e event.Event) error {
	return s.write("\nschedule " + key + " " + e.ID() + ";\n")
}

func (s *fileSink) Cancel(_ context.Context, key string) (bool, error) {
	return true, s.write("\ncancel " + key + ";\n")
}

func (s *fileSink) write(lines string) error {
	_, err := s.file.WriteString(lines)
	s.once.Do(func() { _, _ = os.Stdout.WriteString("relaying\n") })
	return errors.Join(err, s.file.Sync()) // takes the time of a durable queue
}

// readSink returns the complete lines of a file.
func readSink(tb testing.TB, name string) []string {
	tb.Helper()
	content, err := os.ReadFile(name)
	require.NoError(tb, err)
	var all []string
	for line := range strings.SplitSeq(string(content), "\n") {
		if id, complete := strings.CutSuffix(line, ";"); complete {
			all = append(all, id)
		}
	}
	return all
}

// relayProcess is a child.
type relayProcess struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	relaying chan struct{} // closed when it has handed over something first, or has ended
	ended    chan struct{} // closed when it has
	err      error         // how
}

// startRelay starts this test program as a child.
func startRelay(tb testing.TB, p plan) *relayProcess {
	tb.Helper()
	form, err := json.Marshal(p)
	require.NoError(tb, err)
	self, err := os.Executable()
	require.NoError(tb, err)
	child := &relayProcess{cmd: exec.CommandContext(context.Background(), self), relaying: make(chan struct{}), ended: make(chan struct{})}
	child.cmd.Env = append(os.Environ(), planVariable+"="+string(form))
	child.cmd.Stderr = tb.Output()
	child.stdin, err = child.cmd.StdinPipe()
	require.NoError(tb, err)
	stdout, err := child.cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, child.cmd.Start())
	go func() {
		defer close(child.ended)
		bufio.NewScanner(stdout).Scan()
		close(child.relaying)
		_, _ = io.Copy(io.Discard, stdout)
		child.err = child.cmd.Wait()
	}()
	tb.Cleanup(child.kill)
	return child
}

// kill ends it with -9, wherever it is.
func (p *relayProcess) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// finish asks it to stop, and returns how it ended.
func (p *relayProcess) finish() error {
	err := p.stdin.Close()
	<-p.ended
	return errors.Join(err, p.err)
}
