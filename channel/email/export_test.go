package email

import (
	"context"
	"time"
)

// What tests in package email_test look at.
var (
	ParseAddress = parseAddress
	OneLine      = oneLine
	FitForWire   = isValidWire
)

// The limits that tests come to.
const (
	MaxIdle  = maxIdle
	MaxMails = maxMails
)

// KeepIdle changes for how long sessions are kept. Call it before the first Send.
func KeepIdle(c *Channel, d time.Duration) { c.mailer().pool.keep = d }

// Probe changes how long a kept session has to show that it is alive. Call it before the first Send.
func Probe(c *Channel, d time.Duration) { c.mailer().pool.probe = d }

// Idle tells how many sessions are kept.
func Idle(c *Channel) int {
	p := c.mailer().pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// ModeOf tells when connections are encrypted.
func ModeOf(c *Channel) TLSMode { return c.mailer().pool.dialer.mode }

// Remembered tells of how many deliveries it is known that they are done in part, with the default Progress.
func Remembered(c *Channel) int { return c.mailer().progress.(*Memory).states.Len() }

// CheckWith is Check with a credential of the test's own.
func CheckWith(ctx context.Context, c *Channel, credential string) error {
	m := c.mailer()
	t := transaction{from: m.composer.from, credential: credential}
	if t.run(ctx, m.pool, nil); t.failure != nil {
		return m.failureError(ctx, t.failure, redaction{})
	}
	return nil
}
