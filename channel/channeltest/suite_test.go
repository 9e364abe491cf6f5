package channeltest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
)

// brokenVariable names a broken channel for a child process: a suite that fails can only be watched from outside.
const brokenVariable = "CHANNELTEST_BROKEN"

func TestMain(m *testing.M) {
	if os.Getenv(brokenVariable) != "" {
		m.Run() // some of the broken channels leave goroutines
		return
	}
	goleak.VerifyTestMain(m)
}

// TestInChild is the child's part of TestRunFindsBrokenChannels. Outside the child it has nothing to check.
func TestInChild(t *testing.T) {
	if name := os.Getenv(brokenVariable); name != "" {
		channeltest.Run(t, broken()[name].suite)
	}
}

func TestRunPassesGoodChannel(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, suiteOf(honest))
}

func TestRunPassesRecorder(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, suiteOf(func(a channeltest.Answer) channel.Func {
		var r channeltest.Recorder
		return func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			r.Script(channeltest.Step(honest(a)))
			return r.Send(ctx, d)
		}
	}))
}

func TestRunPassesWithUnsupportedAnswers(t *testing.T) {
	t.Parallel()
	s := suiteOf(honest)
	s.Unsupported = []channeltest.Answer{channeltest.Throttled, channeltest.Gone}
	whole := s.New
	s.New = func(t *testing.T, a channeltest.Answer) channel.Channel {
		assert.NotContains(t, s.Unsupported, a)
		return whole(t, a)
	}
	channeltest.Run(t, s)
}

// A channel that sends datagrams and hears nothing, also not from who is not there.
func TestRunPassesOneWayChannel(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Suite{
		Unsupported: channeltest.OneWay(),
		New: func(t *testing.T, a channeltest.Answer) channel.Channel {
			t.Helper()
			assert.Equal(t, channeltest.Accepted, a)
			server, err := net.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { server.Close() })
			return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
				if err != nil {
					return channel.Receipt{}, err
				}
				defer conn.Close()
				_, err = fmt.Fprintf(conn, "<134>1 - - - - - - %.800s", d.Event.JSON())
				return channel.Receipt{}, err
			})
		},
	})
}

func TestRunFindsBrokenChannels(t *testing.T) {
	t.Parallel()
	// The children wait more than they work: with one at a time per processor this would take long.
	const atOnce = 8
	slots := make(chan struct{}, atOnce)
	type output struct {
		text []byte
		err  error
	}
	outputs := map[string]<-chan output{}
	for name := range broken() {
		result := make(chan output, 1)
		outputs[name] = result
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInChild$", "-test.v=false")
			cmd.Env = append(os.Environ(), brokenVariable+"="+name)
			text, err := cmd.CombinedOutput()
			result <- output{text, err}
		}()
	}
	for name, c := range broken() {
		out := <-outputs[name]
		t.Run(name, func(t *testing.T) {
			exit, ok := errors.AsType[*exec.ExitError](out.err)
			require.True(t, ok, "the suite passed:\n%s", out.text)
			assert.Equal(t, 1, exit.ExitCode(), "a panic ends with 2:\n%s", out.text)
			assert.Equal(t, c.fails, failed(out.text), "rules that failed:\n%s", out.text)
			assert.Contains(t, string(out.text), c.says)
			assert.Len(t, regexp.MustCompile(`(?m)^ +\S+\.go:\d+: rule: `).FindAll(out.text, -1), len(c.fails), "rules printed:\n%s", out.text)
		})
	}
}

// failed returns the names of the rules that failed, in order.
func failed(out []byte) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^ {4}--- FAIL: TestInChild/(\S+)`).FindAllSubmatch(out, -1) {
		names = append(names, string(m[1]))
	}
	return slices.Compact(names)
}

func TestAnswerString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Accepted Unavailable Throttled Rejected Gone Silent Answer(99)",
		fmt.Sprint(channeltest.Accepted, " ", channeltest.Unavailable, " ", channeltest.Throttled, " ", channeltest.Rejected, " ",
			channeltest.Gone, " ", channeltest.Silent, " ", channeltest.Answer(99)))
}
