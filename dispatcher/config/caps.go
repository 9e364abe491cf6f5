package config

import (
	"cmp"
	"time"
)

// Caps are the largest numbers that documents may ask for. The zero value has the defaults, which suit documents
// that tenants write; a larger number in a document is an error.
type Caps struct {
	Concurrency int           // attempts of a route at a time; 0 = 64
	Backlog     int           // deliveries of a route that wait in memory; 0 = 100,000
	MaxBody     int           // bytes of a webhook's body; 0 = 16 MiB
	Timeout     time.Duration // of one attempt, and of each phase of it; 0 = 10 min
	Dedup       time.Duration // the window of a route's dedup; 0 = 31 days
	Channels    int           // channels of a document; 0 = 10,000
	Routes      int           // routes of a document; 0 = 10,000
}

func (c Caps) withDefaults() Caps {
	return Caps{
		Concurrency: cmp.Or(c.Concurrency, 64),
		Backlog:     cmp.Or(c.Backlog, 100_000),
		MaxBody:     cmp.Or(c.MaxBody, 16<<20),
		Timeout:     cmp.Or(c.Timeout, 10*time.Minute),
		Dedup:       cmp.Or(c.Dedup, 31*24*time.Hour),
		Channels:    cmp.Or(c.Channels, 10_000),
		Routes:      cmp.Or(c.Routes, 10_000),
	}
}

func capTimeout(c Caps) time.Duration { return c.Timeout }
