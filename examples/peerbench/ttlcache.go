package main

import "github.com/jellydator/ttlcache/v3"

// ttlCache is jellydator/ttlcache; reading does not prolong, and its own goroutine removes what has expired.
func ttlCache() memoryMaker {
	return memoryMaker{
		name:   "jellydator/ttlcache",
		traits: memoryTraits{"yes (GetOrSet)", "marked: the retry is lost, unless deleted by hand", "entries, the least recently used go"},
		open: func(keys int) memory {
			c := ttlcache.New(
				ttlcache.WithTTL[string, struct{}](window), ttlcache.WithDisableTouchOnHit[string, struct{}](),
				ttlcache.WithCapacity[string, struct{}](uint64(keys+keys/8)),
			)
			go c.Start()
			return memory{
				isNew: func(key string) bool {
					_, known := c.GetOrSet(key, struct{}{})
					return !known
				},
				close: c.Stop,
			}
		},
	}
}
