package email

import (
	"context"
	"sync"
	"time"
)

const (
	maxIdle     = 4                // sessions kept: as many as a route sends at a time by default
	maxIdleTime = 10 * time.Second // relays do not like to be kept waiting, and RFC 5321 lets them hang up
	maxMails    = 100              // in one session; relays have limits of their own, often this one
	probeTime   = 3 * time.Second  // for a session that was kept to show that it is alive
)

// pool keeps sessions for a short time, because a burst of events would pay for a connection, a handshake and a log-in
// each. A session in it costs no goroutine.
type pool struct {
	dialer *dialer
	keep   time.Duration // maxIdleTime
	probe  time.Duration // probeTime

	mu     sync.Mutex
	idle   []*session // the one used last is at the end
	timer  *time.Timer
	closed bool
}

// acquire returns a session that is bound to ctx: one that is idle, has answered just now, and was made with the same
// credential under a policy that still holds; or else a new one.
func (p *pool) acquire(ctx context.Context, credential string) (*session, *failure) {
	for s := p.take(); s != nil; s = p.take() {
		s.bind(ctx)
		if s.credential == credential && p.dialer.allows(ctx, s) && s.alive(p.probe) {
			return s, nil
		}
		s.close()
	}
	return p.dialer.open(ctx, credential)
}

func newPool(d *dialer) *pool { return &pool{dialer: d, keep: maxIdleTime, probe: probeTime} }

func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	s := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return s
}

// release takes back what acquire returned.
func (p *pool) release(s *session) {
	if s.broken {
		s.close()
		return
	}
	if s.unbind() && s.mails < maxMails && p.put(s) {
		return
	}
	s.quit()
}

func (p *pool) put(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		return false
	}
	s.idleSince = time.Now()
	p.idle = append(p.idle, s)
	if len(p.idle) == 1 {
		p.wait(p.keep)
	}
	return true
}

// wait expires sessions after d. mu is held.
func (p *pool) wait(d time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(d, p.expire)
}

// expire hangs up on the sessions that have waited long enough, and waits for the next.
func (p *pool) expire() {
	p.mu.Lock()
	var old []*session
	for len(p.idle) > 0 && time.Since(p.idle[0].idleSince) >= p.keep {
		old = append(old, p.idle[0])
		p.idle = p.idle[1:]
	}
	if len(p.idle) > 0 && !p.closed {
		p.wait(p.keep - time.Since(p.idle[0].idleSince))
	}
	p.mu.Unlock()
	for _, s := range old {
		s.quit()
	}
}

// close hangs up on all idle sessions; later ones are not kept.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, s := range idle {
		s.quit()
	}
}
