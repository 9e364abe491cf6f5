package deduptest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

// defect is one way in which a store can be wrong.
type defect string

// naive is the plainest correct store, which the suite must accept, and with a defect a wrong one, which it must
// reject.
type naive struct {
	defect  defect
	mu      sync.Mutex
	counter int
	records map[string]record
}

type record struct {
	state dedup.State
	token string
	end   time.Time
}

func newNaive(d defect) *naive { return &naive{defect: d, records: map[string]record{}} }

func (n *naive) is(d defect) bool { return n.defect == d }

// letOthersIn opens a gap in a critical section. In a bubble its timer fires when all other goroutines are waiting for
// something, so that whoever can get in does.
func (n *naive) letOthersIn() {
	n.mu.Unlock()
	<-time.After(1)
	n.mu.Lock()
}

// fold alters keys as a careless store does.
func (n *naive) fold(key string) string {
	switch n.defect {
	case "trims keys":
		return strings.TrimSpace(key)
	case "folds case":
		return strings.ToLower(key)
	case "cuts keys at NUL":
		key, _, _ = strings.Cut(key, "\x00")
		return key
	case "repairs UTF-8":
		return strings.ToValidUTF8(key, "?")
	case "cuts long keys":
		return key[:min(len(key), 255)]
	case "one record for all keys":
		return "key"
	}
	return key
}

func (n *naive) validateCall(ctx context.Context, key string, d time.Duration) error {
	if !n.is("ignores ctx") && ctx.Err() != nil {
		return ctx.Err()
	}
	if key == "" && !n.is("takes the empty key") {
		return dedup.ErrEmptyKey
	}
	if d <= 0 && !n.is("takes any duration") {
		return dedup.ErrDuration
	}
	return nil
}

func (n *naive) Claim(ctx context.Context, key string, lease time.Duration) (dedup.Claim, error) {
	if err := n.validateCall(ctx, key, lease); err != nil {
		if n.is("claims before it refuses") {
			n.records[key] = record{dedup.InFlight, "", time.Now().Add(time.Minute)}
		}
		return dedup.Claim{}, err
	}
	key = n.fold(key)
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	r, taken := n.records[key]
	switch {
	case !taken, n.is("excludes nobody") && r.state == dedup.InFlight:
		taken = false
	case r.state == dedup.InFlight:
		taken = now.Before(r.end) || n.is("leases never end")
	case r.state == dedup.Done:
		taken = now.Before(r.end) || n.is("windows never end")
	}
	if taken {
		if n.is("a refused claim prolongs the lease") && r.state == dedup.InFlight || n.is("a refused claim prolongs the window") && r.state == dedup.Done {
			r.end = now.Add(lease)
			n.records[key] = r
		}
		c := dedup.Claim{State: r.state, Remaining: r.end.Sub(now)}
		if n.is("leaks the token") {
			c.Token = r.token
		}
		if n.is("Remaining stands still") {
			c.Remaining = time.Minute
		}
		if n.is("no Remaining") {
			c.Remaining = 0
		}
		return c, nil
	}
	if n.is("reads and claims apart") {
		n.letOthersIn()
	}
	n.counter++
	token := fmt.Sprint("token ", n.counter)
	if n.is("one token for all") {
		token = "token"
	}
	if n.is("a token per key") {
		token = "token " + key
	}
	n.records[key] = record{dedup.InFlight, token, now.Add(lease)}
	c := dedup.Claim{State: dedup.Acquired, Token: token}
	if n.is("Remaining when acquired") {
		c.Remaining = lease
	}
	return c, nil
}

// owned reports whether token may settle the record.
func (n *naive) owned(r record, token, anyToken, anyTime string) bool {
	return r.state == dedup.InFlight &&
		(r.token == token || n.is(defect(anyToken))) &&
		(time.Now().Before(r.end) || n.is(defect(anyTime)))
}

func (n *naive) Commit(ctx context.Context, key, token string, ttl time.Duration) error {
	if err := n.validateCall(ctx, key, ttl); err != nil {
		return err
	}
	key = n.fold(key)
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.records[key]
	if n.is("Commit twice") && r.state == dedup.Done && r.token == token {
		return nil
	}
	if !n.owned(r, token, "Commit with any token", "Commit after the lease") {
		if n.is("silent about lost claims") {
			return nil
		}
		return dedup.ErrLost
	}
	switch {
	case n.is("Commit forgets"):
		delete(n.records, key)
	case n.is("Commit keeps the lease's end"):
		n.records[key] = record{dedup.Done, token, r.end}
	case n.is("free for an instant in Commit"):
		delete(n.records, key)
		n.letOthersIn()
		n.records[key] = record{dedup.Done, token, time.Now().Add(ttl)}
	default:
		n.records[key] = record{dedup.Done, token, time.Now().Add(ttl)}
	}
	return nil
}

func (n *naive) Release(ctx context.Context, key, token string) error {
	if err := n.validateCall(ctx, key, 1); err != nil {
		return err
	}
	key = n.fold(key)
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.records[key]
	if n.is("Release frees done keys") && r.token == token {
		delete(n.records, key)
	}
	if !n.owned(r, token, "Release with any token", "Release after the lease") {
		return dedup.ErrLost
	}
	if !n.is("Release does nothing") {
		delete(n.records, key)
	}
	return nil
}
