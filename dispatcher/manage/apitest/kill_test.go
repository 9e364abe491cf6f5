package apitest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

// Variables of the child processes.
const (
	fileVariable     = "MANAGE_TEST_FILE"     // of the queue
	receiverVariable = "MANAGE_TEST_RECEIVER" // URL
	killsVariable    = "MANAGE_TEST_KILLS"    // of the test itself: how many
)

func TestMain(m *testing.M) {
	if os.Getenv(fileVariable) != "" {
		if err := work(os.Getenv(fileVariable), os.Getenv(receiverVariable), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err) // and the test finds nothing done
		}
		return
	}
	m.Run()
}

// open makes a service whose documents and queue are in a file.
func open(ctx context.Context, file string) (*manage.Service, error) {
	quiet := slog.New(slog.DiscardHandler)
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	q, err := sqlitequeue.Open(ctx, file, sqlitequeue.Options{Logger: quiet})
	if err != nil {
		return nil, err
	}
	return manage.New(ctx, manage.Options{
		Documents: q.Documents(), Plaintext: true, Engine: dispatcher.Config{Queue: q}, Logger: quiet,
		Config: func(string) config.Options {
			return config.Options{Networks: map[string]*netguard.Guard{"public": guard}, Limits: map[string]netguard.Limits{"default": {AllowInsecureHTTP: true}}}
		},
	})
}

// hook is a webhook, and a route of its name.
func hook(name, url, events string) manage.ChannelInput {
	return manage.ChannelInput{
		Channel: fmt.Appendf(nil, `{"type": "webhook", "name": %q, "url": %q}`, name, url),
		Routes:  []json.RawMessage{fmt.Appendf(nil, `{"name": %q, "events": [%q], "concurrency": 16}`, name, events)},
	}
}

// work edits and dispatches until it is killed, and writes each thing that is done in a line.
func work(file, receiver string, out io.Writer) error {
	ctx := context.Background()
	s, err := open(ctx, file)
	if err != nil {
		return err
	}
	go func() { _ = s.Run(ctx) }()
	by := manage.By{Tenant: "acme", Actor: "child"}
	for name, events := range map[string]string{"audit": "tocsin.*", "all": "request.*"} {
		if _, _, err := s.Create(ctx, by, hook(name, receiver+"/"+name, events)); err != nil && !strings.Contains(err.Error(), "already") {
			return err
		}
	}
	var mu sync.Mutex
	say := func(what string, about any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, what, about)
	}
	go func() {
		for range time.Tick(2 * time.Millisecond) {
			e, err := event.SampleForTest(event.TypeRequestPending, event.Meta{Tenant: "acme"})
			if err == nil && s.Dispatch(ctx, e) == nil {
				say("event", e.ID())
			}
		}
	}()
	for i := rand.IntN(4); ; i = rand.IntN(4) {
		name := "c" + strconv.Itoa(i)
		c, created, err := s.Create(ctx, by, hook(name, receiver+"/"+name, "grant.*"))
		switch {
		case err == nil && created:
			say("change", c.Revision)
		case rand.IntN(2) == 0:
			_ = s.Delete(ctx, by, name, "")
		default:
			if c, err := s.Replace(ctx, by, name, "", manage.ChannelInput{Channel: fmt.Appendf(nil, `{"type": "webhook", "url": "%s/%d"}`, receiver, rand.Int())}); err == nil {
				say("change", c.Revision)
			}
		}
	}
}

// Killed at random moments while it edits and delivers, a service loses nothing: each change that was answered is told,
// each event that was accepted is delivered, and what is in force afterwards is what is stored.
func TestKilledWhileItEdits(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv(killsVariable)); err == nil {
		kills = n
	}
	var mu sync.Mutex
	delivered, told := map[string]bool{}, map[string]bool{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed
		}
		var e struct {
			ID   string `json:"id"`
			Data struct {
				Revision json.Number `json:"revision"`
			} `json:"data"`
		}
		if json.Unmarshal(text, &e) != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		delivered[e.ID], told[e.Data.Revision.String()] = true, true
	}))
	defer func() { receiver.CloseClientConnections(); receiver.Close() }()
	file := filepath.Join(t.TempDir(), "queue.db")
	changes, events := map[string]bool{}, map[string]bool{}
	for range kills {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), fileVariable+"="+file, receiverVariable+"="+receiver.URL)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		killing := time.AfterFunc(time.Hour, func() {})
		for n := 0; lines.Scan(); n++ {
			what, about, _ := strings.Cut(lines.Text(), " ")
			if what == "change" {
				changes[about] = true
			} else {
				events[about] = true
			}
			if n == 0 {
				killing = time.AfterFunc(rand.N(300*time.Millisecond), func() { _ = child.Process.Kill() })
			}
		}
		killing.Stop()
		_ = child.Wait()
	}
	require.NotEmpty(t, changes)
	require.NotEmpty(t, events)

	s, err := open(t.Context(), file)
	require.NoError(t, err)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(context.WithoutCancel(t.Context())) }()
	assert.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for id := range events {
			if !delivered[id] {
				return false
			}
		}
		for revision := range changes {
			if !told[revision] {
				return false
			}
		}
		return true
	}, 30*time.Second, 50*time.Millisecond, "all is delivered and told")
	d, err := s.Export(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, d.Revision, d.Applied)
	assert.Empty(t, d.Problem)
	inForce, err := s.Engine().Status(t.Context(), dispatcher.StatusFilter{Tenants: []string{"acme"}})
	require.NoError(t, err)
	var stored int
	for _, c := range d.Channels() {
		stored += len(c.Routes)
	}
	assert.Len(t, inForce, stored)
	t.Logf("%d kills, %d changes answered, %d events accepted", kills, len(changes), len(events))
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, <-stopped)
}
