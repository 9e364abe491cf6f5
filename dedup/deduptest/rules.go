package deduptest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

// rule is one promise of dedup.Store.
type rule struct {
	name string
	text string
	run  func(p *probe)
}

func rules() []rule {
	return []rule{
		{"commit", "a free key is acquired; once committed it is done, and the token is spent", commitRule},
		{"release", "a released key is free at once, and the token is spent", releaseRule},
		{"in-flight", "a claimed key is in flight for everybody else, who get no token", inFlightRule},
		{"independent-keys", "what happens to one key does not touch another", independentRule},
		{"lease", "when the lease ends the key is free, and the late owner gets ErrLost without harm to its successor", leaseRule},
		{"late", "from the moment the lease ends the token is lost, also if nobody else has claimed the key", lateRule},
		{"window", "a committed key is free again when its time to live ends; Commit ends the lease", windowRule},
		{"refused-claim", "claiming a taken key prolongs neither the lease nor the window", refusedClaimRule},
		{"remaining", "Remaining is positive, shrinks with time, and is zero with Acquired", remainingRule},
		{"tokens", "only the token of the claim settles it, and no token is given out twice", tokensRule},
		{"context", "with ctx done a call returns ctx's error and changes nothing", contextRule},
		{"durations", "a lease or time to live that is not positive is refused with ErrDuration and changes nothing", durationsRule},
		{"empty-key", "the empty key is refused with ErrEmptyKey", emptyKeyRule},
		{"odd-keys", "keys are any bytes, compared exactly", oddKeysRule},
		{"one-winner", "of concurrent claims for a free key exactly one acquires it", oneWinnerRule},
		{"one-successor", "of concurrent claims for a key whose lease has ended exactly one acquires it", oneSuccessorRule},
	}
}

func commitRule(p *probe) {
	token := p.acquire("key", p.long)
	p.commit("key", token, p.long)
	p.claim("key", p.long, dedup.Done)
	p.lost("key", token, "after Commit")
	p.claim("key", p.long, dedup.Done)
}

func releaseRule(p *probe) {
	token := p.acquire("key", p.long)
	p.release("key", token)
	p.lost("key", token, "after Release")
	token = p.acquire("key", p.long)
	p.commit("key", token, p.long)
	p.claim("key", p.long, dedup.Done)
}

func inFlightRule(p *probe) {
	token := p.acquire("key", p.long)
	for range 3 {
		if c := p.claim("key", p.long, dedup.InFlight); c.Token != "" {
			p.fail("Claim of a key in flight gave a token")
		}
	}
	p.commit("key", token, p.long)
	if c := p.claim("key", p.long, dedup.Done); c.Token != "" {
		p.fail("Claim of a done key gave a token")
	}
}

func independentRule(p *probe) {
	a, b := p.acquire("a", p.long), p.acquire("b", p.long)
	p.lost("a", b, "with another key's token")
	p.release("a", a)
	p.claim("b", p.long, dedup.InFlight)
	p.commit("b", b, p.long)
	p.acquire("a", p.long)
}

func leaseRule(p *probe) {
	late := p.acquire("key", p.unit)
	p.runOut()
	next := p.acquire("key", p.long)
	p.lost("key", late, "after the lease ended")
	p.claim("key", p.long, dedup.InFlight)
	p.commit("key", next, p.long)
	p.lost("key", late, "after another's Commit")
	p.claim("key", p.long, dedup.Done)
}

func lateRule(p *probe) {
	token := p.acquire("key", p.unit)
	p.runOut()
	p.lost("key", token, "after the lease ended")
	p.acquire("key", p.long)
}

func windowRule(p *probe) {
	token := p.acquire("short window", p.long)
	p.commit("short window", token, p.unit)
	token = p.acquire("short lease", p.unit)
	p.commit("short lease", token, p.long)
	p.runOut()
	p.claim("short lease", p.long, dedup.Done)
	token = p.acquire("short window", p.long)
	p.commit("short window", token, p.long)
	p.claim("short window", p.long, dedup.Done)
}

func refusedClaimRule(p *probe) {
	token := p.acquire("done", p.long)
	p.commit("done", token, p.unit)
	p.acquire("in flight", p.unit)
	for _, key := range []string{"done", "in flight"} {
		c, err := p.store.Claim(p.ctx, key, p.long)
		if err != nil {
			p.fail("Claim of a taken key: %v", err)
		}
		if c.State == dedup.Acquired {
			p.fail("key %q was free already; Options.Unit must be longer than a few calls take", key)
		}
	}
	p.runOut()
	p.acquire("done", p.long)
	p.acquire("in flight", p.long)
}

func remainingRule(p *probe) {
	token := ""
	for _, state := range []dedup.State{dedup.InFlight, dedup.Done} {
		if state == dedup.InFlight {
			c := p.claim("key", p.long, dedup.Acquired)
			if c.Remaining != 0 {
				p.fail("Remaining of an acquired key is %v", c.Remaining)
			}
			token = c.Token
		} else {
			p.commit("key", token, p.long)
		}
		p.within(p.claim("key", p.long, state), p.long)
		p.runOut()
		p.within(p.claim("key", p.long, state), p.long-p.unit) // waited for two: one for the store's resolution
	}
}

func tokensRule(p *probe) {
	token := p.acquire("key", p.long)
	for _, bad := range []string{"", token + "0", token[:len(token)-1], " " + token, strings.Repeat("f", 64)} {
		p.lost("key", bad, "with a token never given out")
	}
	p.claim("key", p.long, dedup.InFlight)

	seen := map[string]bool{token: true}
	for i := range 200 {
		key := fmt.Sprintf("key %d", i%20) // each key is released and claimed ten times
		token := p.acquire(key, p.long)
		if seen[token] {
			p.fail("a token was given out twice")
		}
		seen[token] = true
		p.release(key, token)
	}
}

func contextRule(p *probe) {
	done, cancel := context.WithCancel(p.ctx)
	cancel()
	_, err := p.store.Claim(done, "key", p.long)
	p.refuse("Claim with ctx cancelled", err, context.Canceled)

	token := p.acquire("key", p.long)
	p.refuse("Commit with ctx cancelled", p.store.Commit(done, "key", token, p.long), context.Canceled)
	p.claim("key", p.long, dedup.InFlight)
	p.refuse("Release with ctx cancelled", p.store.Release(done, "key", token), context.Canceled)
	p.claim("key", p.long, dedup.InFlight)
	p.commit("key", token, p.long)
}

func durationsRule(p *probe) {
	for _, d := range []time.Duration{0, -time.Second} {
		_, err := p.store.Claim(p.ctx, "key", d)
		p.refuse(fmt.Sprintf("Claim with a lease of %v", d), err, dedup.ErrDuration)
	}
	token := p.acquire("key", p.long)
	for _, d := range []time.Duration{0, -time.Second} {
		p.refuse(fmt.Sprintf("Commit for %v", d), p.store.Commit(p.ctx, "key", token, d), dedup.ErrDuration)
	}
	p.claim("key", p.long, dedup.InFlight)
	p.commit("key", token, 1) // finer than any clock, and still an accepted time to live
}

func emptyKeyRule(p *probe) {
	_, err := p.store.Claim(p.ctx, "", p.long)
	p.refuse("Claim", err, dedup.ErrEmptyKey)
	p.refuse("Commit", p.store.Commit(p.ctx, "", "token", p.long), dedup.ErrEmptyKey)
	p.refuse("Release", p.store.Release(p.ctx, "", "token"), dedup.ErrEmptyKey)
}

func oddKeysRule(p *probe) {
	huge := strings.Repeat("k", 64<<10)
	keys := []string{
		"key", "KEY", "key ", " key", "key\n", "key\x00", "key\x00a", "\x00", " ", "ke", "key:a", "key/a", "key%", "k?y", "k*",
		"key\xff", "key\xfe", "ké", "ke\u0301", "'; --", `"key"`, "{key}", "..", "-", huge, huge[1:], huge[1:] + "l",
		dedup.Key([]byte("key")),
	}
	tokens := make([]string, len(keys))
	for i, key := range keys {
		tokens[i] = p.acquire(key, p.long)
	}
	for i, key := range keys {
		p.claim(key, p.long, dedup.InFlight)
		p.commit(key, tokens[i], p.long)
	}
	for _, key := range keys {
		p.claim(key, p.long, dedup.Done)
	}
}

const (
	racers      = 64  // goroutines
	freeKeys    = 100 // raced for when free
	expiredKeys = 20  // raced for when their lease has ended
)

// raceResult is what one goroutine got for one key.
type raceResult struct {
	claim dedup.Claim
	err   error
}

// race claims one key after the other from all goroutines at once, and returns the results per key. then, if set, is
// called at once by a goroutine that has acquired the i-th key.
func (p *probe) race(keys []string, lease time.Duration, then func(i int, token string) error) [][]raceResult {
	results := make([][]raceResult, len(keys))
	for i, key := range keys {
		results[i] = make([]raceResult, racers)
		start := make(chan struct{}) // for each key anew, or the goroutines would drift apart
		var wg sync.WaitGroup
		for r := range racers {
			wg.Go(func() {
				<-start
				c, err := p.store.Claim(p.ctx, key, lease)
				if err == nil && c.State == dedup.Acquired && then != nil {
					err = then(i, c.Token)
				}
				results[i][r] = raceResult{c, err}
			})
		}
		close(start)
		wg.Wait()
	}
	return results
}

// oneWinner checks that one goroutine acquired each key, and returns the winners' tokens.
func (p *probe) oneWinner(keys []string, results [][]raceResult) []string {
	p.tb.Helper()
	tokens := make([]string, len(keys))
	for i, key := range keys {
		winners := 0
		for _, a := range results[i] {
			if a.err != nil {
				p.fail("key %q: %v", key, a.err)
			}
			if a.claim.State == dedup.Acquired {
				winners++
				tokens[i] = a.claim.Token
			}
		}
		if winners != 1 {
			p.fail("%d of %d goroutines acquired key %q", winners, racers, key)
		}
	}
	return tokens
}

// oneWinnerRule commits every second key in the race itself: a key must not be free for an instant between the two.
func oneWinnerRule(p *probe) {
	keys := make([]string, freeKeys)
	for i := range keys {
		keys[i] = fmt.Sprintf("key %d", i)
	}
	commits := func(i int) bool { return i%2 == 0 }
	results := p.race(keys, p.long, func(i int, token string) error {
		if commits(i) {
			return p.store.Commit(p.ctx, keys[i], token, p.long)
		}
		return nil
	})
	tokens := p.oneWinner(keys, results)
	unique := make(map[string]bool, len(tokens))
	for i, key := range keys {
		unique[tokens[i]] = true
		if commits(i) {
			p.claim(key, p.long, dedup.Done)
		} else {
			p.commit(key, tokens[i], p.long)
		}
	}
	if len(unique) != len(keys) {
		p.fail("%d keys were acquired with %d different tokens", len(keys), len(unique))
	}
}

func oneSuccessorRule(p *probe) {
	keys := make([]string, expiredKeys)
	late := make([]string, expiredKeys)
	for i := range keys {
		keys[i] = fmt.Sprintf("key %d", i)
		late[i] = p.acquire(keys[i], p.unit)
	}
	p.runOut()
	tokens := p.oneWinner(keys, p.race(keys, p.long, nil))
	for i, key := range keys {
		p.lost(key, late[i], "after another took the key over")
		p.commit(key, tokens[i], p.long)
	}
}
