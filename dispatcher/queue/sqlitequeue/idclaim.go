package sqlitequeue

import (
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// idClaims are the ids of calls that take several transactions. Nobody else can store one of them with other data
// meanwhile, so that a call in conflict is refused before anything of it is stored.
type idClaims struct {
	mu    sync.Mutex
	byKey map[knownKey]claimedID
}

type claimedID struct {
	digest uint64
	calls  int
}

// idClaim is one call's.
type idClaim struct {
	groups     []eventGroup
	checked    bool // there was no conflict; the writing goroutine's
	made, over bool // guarded by idClaims
}

// conflict finds an event whose id another call has claimed with other data.
func (c *idClaims) conflict(groups []eventGroup) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byKey) == 0 {
		return nil
	}
	for i := range groups {
		if other, ok := c.byKey[groups[i].key]; ok && other.digest != groups[i].digest {
			return &queue.ConflictError{EventID: groups[i].jobs[0].Event.ID()}
		}
	}
	return nil
}

// claim is called by the writing goroutine once there is no conflict.
func (c *idClaims) claim(call *idClaim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.over || call.made {
		return
	}
	call.made = true
	if c.byKey == nil {
		c.byKey = map[knownKey]claimedID{}
	}
	for i := range call.groups {
		key := call.groups[i].key
		c.byKey[key] = claimedID{call.groups[i].digest, c.byKey[key].calls + 1}
	}
}

// release ends a claim, if it was made.
func (c *idClaims) release(call *idClaim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.over = true
	if !call.made {
		return
	}
	for i := range call.groups {
		key := call.groups[i].key
		if claimed := c.byKey[key]; claimed.calls > 1 {
			c.byKey[key] = claimedID{claimed.digest, claimed.calls - 1}
		} else {
			delete(c.byKey, key)
		}
	}
}
