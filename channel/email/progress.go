package email

import (
	"maps"
	"strconv"
	"sync"

	"github.com/tocsin-go/tocsin/channel"
)

// maxProgress is how many deliveries are remembered of which some recipients have the mail and some have not.
const maxProgress = 1024

// outcome is what became of a recipient.
type outcome struct {
	state    state
	code     int // of the reply; 0 = none
	enhanced string
}

type state uint8

const (
	taken    state = iota + 1 // the relay has the mail for it
	refused                   // for good
	deferred                  // for now
)

// standing says how the recipients of a delivery stand, by recipient.key.
type standing map[string]outcome

// pending are the recipients that are still to be tried.
func (s standing) pending(all []recipient) []recipient {
	var left []recipient
	for _, r := range all {
		if o := s[r.key()]; r.address != "" && o.state != taken && o.state != refused {
			left = append(left, r)
		}
	}
	return left
}

// progress remembers deliveries that are done in part.
type progress struct {
	mu sync.Mutex
	of map[string]standing
}

// progressKey tells deliveries apart.
func progressKey(d channel.Delivery) string {
	return d.ID() + "." + strconv.FormatInt(d.Generation, 36)
}

// load returns a copy of what is known.
func (p *progress) load(key string) standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := make(standing)
	maps.Copy(s, p.of[key])
	return s
}

// store keeps s, at the cost of any other when there are too many.
func (p *progress) store(key string, s standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[string]standing)
	}
	if _, known := p.of[key]; !known && len(p.of) >= maxProgress {
		for other := range p.of {
			delete(p.of, other)
			break
		}
	}
	p.of[key] = s
}

func (p *progress) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, key)
}
