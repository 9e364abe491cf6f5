package main

import "github.com/maypok86/otter/v2"

// otterCache is otter with a bound and an expiry that begins with the write.
func otterCache() memoryMaker {
	return memoryMaker{
		name:   "maypok86/otter",
		traits: memoryTraits{"yes (SetIfAbsent)", "marked: the retry is lost, unless deleted by hand", "entries; any may be pushed out"},
		open: func(keys int) memory {
			c := otter.Must(&otter.Options[string, struct{}]{
				MaximumSize: keys + keys/8, ExpiryCalculator: otter.ExpiryWriting[string, struct{}](window),
			})
			return memory{
				isNew: func(key string) bool {
					_, set := c.SetIfAbsent(key, struct{}{})
					return set
				},
				close: func() { c.StopAllGoroutines() },
			}
		},
	}
}
