package email

import (
	"context"
	"time"
)

// What tests in package email_test look at.
var (
	ParseAddress = parseAddress
	OneLine      = oneLine
	FitForWire   = fitForWire
)

// The limits that tests come to.
const (
	MaxIdle  = maxIdle
	MaxMails = maxMails
)

// KeepIdle changes for how long sessions are kept. Call it before the first Send.
func KeepIdle(c *Channel, d time.Duration) { c.private.pool.keep = d }

// Probe changes how long a kept session has to show that it is alive. Call it before the first Send.
func Probe(c *Channel, d time.Duration) { c.private.pool.probe = d }

// Idle tells how many sessions are kept.
func Idle(c *Channel) int {
	p := c.private.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// Remembered tells of how many deliveries it is known that they are done in part.
func Remembered(c *Channel) int {
	p := &c.private.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.of)
}

// CheckWith is Check with a credential of the test's own.
func CheckWith(ctx context.Context, c *Channel, credential string) error {
	p := c.private
	t := transaction{from: p.letter.from, credential: credential}
	if t.run(ctx, p.pool, nil); t.failure != nil {
		return p.failed(ctx, t.failure, hiding{})
	}
	return nil
}
