package main

import "github.com/hashicorp/golang-lru/v2/expirable"

// expirableLRU is hashicorp/golang-lru's expirable LRU. It cannot ask and mark in one.
func expirableLRU() memoryMaker {
	return memoryMaker{
		name: "hashicorp/golang-lru, expirable",
		traits: memoryTraits{
			"no: two callers can both be first", "marked: the retry is lost, unless deleted by hand", "entries, the least recently used go",
		},
		open: func(keys int) memory {
			c := expirable.NewLRU[string, struct{}](keys+keys/8, nil, window)
			return memory{
				isNew: func(key string) bool {
					if c.Contains(key) {
						return false
					}
					c.Add(key, struct{}{})
					return true
				},
				close: func() { c.Purge() },
			}
		},
	}
}
