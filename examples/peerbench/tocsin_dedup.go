package main

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

// tocsinMemory is package dedup's Memory, with a claim and a commit for each new key.
func tocsinMemory() memoryMaker {
	return memoryMaker{
		name:   nameDedup,
		traits: memoryTraits{"yes", "the claim is released: the retry goes through", "keys; those in flight are never pushed out"},
		open: func(keys int) memory {
			m := dedup.NewMemory(dedup.MemoryOptions{MaxKeys: keys + keys/8})
			ctx := context.Background()
			return memory{
				isNew: func(key string) bool {
					claim, err := m.Claim(ctx, key, time.Minute)
					if err != nil || claim.State != dedup.Acquired {
						return false
					}
					return m.Commit(ctx, key, claim.Token, window) == nil
				},
				close: func() {},
			}
		},
	}
}
