package fake_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel/channeltest/internal/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type server struct{ closed bool }

func (s *server) Close() { s.closed = true }

func TestStartClosesWhenTheTestEnds(t *testing.T) {
	t.Parallel()
	var s *server
	t.Run("test", func(t *testing.T) {
		s = fake.Start(t, func() (*server, error) { return new(server), nil })
		assert.False(t, s.closed)
	})
	assert.True(t, s.closed)
}

// failing is a test that ends by a panic, which the test of this file can catch.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	panic(f)
}

func TestStartEndsTheTestWithoutAServer(t *testing.T) {
	t.Parallel()
	tb := new(failing)
	assert.Panics(t, func() {
		fake.Start(tb, func() (*server, error) { return nil, errors.New("no port is free") })
	})
	assert.Contains(t, tb.message, "no port is free")
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	l, err := fake.Listen()
	require.NoError(t, err)
	address, err := netip.ParseAddrPort(l.Addr().String())
	require.NoError(t, err)
	assert.True(t, address.Addr().IsLoopback())
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(conn, "here")
			err = errors.Join(err, conn.Close())
		}
		done <- err
	}()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	assert.Equal(t, "here", string(got))
	require.NoError(t, <-done)
	require.NoError(t, l.Context.Err())

	require.NoError(t, l.Close())
	require.Error(t, l.Context.Err())
	again, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address.String())
	require.NoError(t, err, "the port is free")
	require.NoError(t, again.Close())
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var a fake.Answers[string, string]
	assert.Empty(t, a.Take("one")(), "as usual")
	isTwo := func(s string) bool { return s == "two" }
	a.Script(isTwo, "second", "", "third")
	a.Script(nil, "any")
	a.Handle(strings.ToUpper)
	assert.Equal(t, "any", a.Take("one")(), "the first that matches")
	assert.Equal(t, "ONE", a.Take("one")())
	assert.Equal(t, "second", a.Take("two")())
	assert.Equal(t, "TWO", a.Take("two")(), "the usual response leaves it to the function")
	last := a.Take("two")
	assert.Equal(t, "TWO", a.Take("two")(), "a response is used up when it is taken")
	assert.Equal(t, "third", last())
	a.Handle(nil)
	assert.Empty(t, a.Take("two")())
}

// A function of the test's may script what comes next.
func TestAnswersAreNotLockedWhileTheFunctionRuns(t *testing.T) {
	t.Parallel()
	var a fake.Answers[int, string]
	a.Handle(func(int) string {
		a.Script(nil, "next")
		return "first"
	})
	assert.Equal(t, "first", a.Take(1)())
	assert.Equal(t, "next", a.Take(2)())
}

func TestIsUsual(t *testing.T) {
	t.Parallel()
	type response struct {
		status int
		header map[string][]string
	}
	assert.True(t, fake.IsUsual(response{}))
	assert.False(t, fake.IsUsual(response{status: 200}))
	assert.False(t, fake.IsUsual(response{header: map[string][]string{}}))
}
