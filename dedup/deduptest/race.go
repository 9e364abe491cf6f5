package deduptest

import (
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

const (
	racers      = 64  // goroutines
	freeKeys    = 100 // raced for when free
	expiredKeys = 20  // raced for when their lease has ended
)

// answer is what one goroutine got for one key.
type answer struct {
	claim dedup.Claim
	err   error
}

// race claims one key after the other from all goroutines at once, and returns the answers per key. then, if set, is
// called at once by a goroutine that has acquired the i-th key.
func (p *probe) race(keys []string, lease time.Duration, then func(i int, token string) error) [][]answer {
	answers := make([][]answer, len(keys))
	for i, key := range keys {
		answers[i] = make([]answer, racers)
		start := make(chan struct{}) // for each key anew, or the goroutines would drift apart
		var wg sync.WaitGroup
		for r := range racers {
			wg.Go(func() {
				<-start
				c, err := p.store.Claim(p.ctx, key, lease)
				if err == nil && c.State == dedup.Acquired && then != nil {
					err = then(i, c.Token)
				}
				answers[i][r] = answer{c, err}
			})
		}
		close(start)
		wg.Wait()
	}
	return answers
}

// oneWinner checks that one goroutine acquired each key, and returns the winners' tokens.
func (p *probe) oneWinner(keys []string, answers [][]answer) []string {
	p.tb.Helper()
	tokens := make([]string, len(keys))
	for i, key := range keys {
		winners := 0
		for _, a := range answers[i] {
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
	answers := p.race(keys, p.long, func(i int, token string) error {
		if commits(i) {
			return p.store.Commit(p.ctx, keys[i], token, p.long)
		}
		return nil
	})
	tokens := p.oneWinner(keys, answers)
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
