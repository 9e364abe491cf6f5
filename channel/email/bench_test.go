package email_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
)

// What a mail of a burst costs over STARTTLS, on a connection that is kept and, as the floor to compare it with, on one
// of its own.
func BenchmarkSend(b *testing.B) {
	for name, keep := range map[string]bool{"kept connection": true, "own connection": false} {
		b.Run(name, func(b *testing.B) {
			r := smtptest.Start(b, smtptest.Options{})
			c := config(b, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = email.TLSRequired, r.Authority()
			ch := open(b, c)
			if !keep {
				require.NoError(b, ch.Close()) // which sends all the same and keeps nothing
			}
			d := sample(event.TypeRequestPending)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ch.Send(b.Context(), d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
