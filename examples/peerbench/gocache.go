package main

import (
	"time"

	"github.com/patrickmn/go-cache"
)

// goCache is patrickmn/go-cache, which looks for expired keys every ten minutes, as its documentation does.
func goCache() memoryMaker {
	return memoryMaker{
		name:   "patrickmn/go-cache",
		traits: memoryTraits{"yes (Add)", "marked: the retry is lost, unless deleted by hand", "none"},
		open: func(int) memory {
			c := cache.New(window, 10*time.Minute)
			return memory{
				isNew: func(key string) bool { return c.Add(key, struct{}{}, cache.DefaultExpiration) == nil },
				close: func() {},
			}
		},
	}
}
