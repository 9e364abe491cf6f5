package smtptest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is a server in clear that wants no log-in.
var plain = smtptest.Options{Mode: email.TLSNone}

// cancelled returns a context that is done.
func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// wait waits for n mails and returns them.
func wait(t *testing.T, s *smtptest.Server, n int) []smtptest.Mail {
	t.Helper()
	require.NoError(t, s.Wait(t.Context(), n))
	mails := s.Mails()
	require.Len(t, mails, n)
	return mails
}
