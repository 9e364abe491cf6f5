package natsqueue

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Config configures a Queue. Replicas is required; the zero value of every other field is its default.
type Config struct {
	// Name begins the names of the queue's streams and subjects, so that several can share an account: letters,
	// digits, "-" and "_", at most 32. "" = "tocsin".
	Name string
	// Replicas is on how many servers each job is stored: 1, 3 or 5. It has no default, because it decides what
	// survives: see the package comment. Changing it changes the streams.
	Replicas int
	// IDWindow is how long the ids of jobs are known; 0 = 5 min, at least 1 s. The servers keep them in memory,
	// about 0.2 KiB each.
	IDWindow time.Duration
	// Lease is after how long without a sign of life a worker's jobs are given to others; 0 = 30 s, at least 1 s.
	// Workers give one every third of it, and ask after a server that says nothing every sixth.
	Lease time.Duration
	// Timeout bounds a call whose ctx has no earlier deadline; 0 = 10 s. Meanwhile it is tried again, so an
	// election of a leader or a short cut is no error.
	Timeout time.Duration
	// KeepDead is how long dead letters are kept; 0 = 30 days, negative = until they are discarded.
	KeepDead time.Duration
	// Logger gets what delays jobs and has no caller: servers that do not answer or refuse, overdue jobs, messages
	// that cannot be read. nil = slog.Default.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	DefaultName     = "tocsin"
	DefaultIDWindow = 5 * time.Minute
	DefaultLease    = 30 * time.Second
	DefaultTimeout  = 10 * time.Second
	DefaultKeepDead = 30 * 24 * time.Hour
)

const longestName = 32

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = DefaultName
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.IDWindow, DefaultIDWindow}, {&c.Lease, DefaultLease}, {&c.Timeout, DefaultTimeout}, {&c.KeepDead, DefaultKeepDead}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	switch {
	case len(c.Name) > longestName || strings.ContainsFunc(c.Name, func(r rune) bool { return r > 127 || !plain(byte(r)) }):
		return c, &ConfigError{"Name", "is too long or has other characters", `use at most 32 letters, digits, "-" and "_"`}
	case !slices.Contains([]int{1, 3, 5}, c.Replicas):
		return c, &ConfigError{"Replicas", "is not 1, 3 or 5", "say on how many servers jobs are stored"}
	case c.IDWindow < time.Second:
		return c, &ConfigError{"IDWindow", "is below 1 s", "use 0 for the default of 5 min"}
	case c.Lease < time.Second:
		return c, &ConfigError{"Lease", "is below 1 s", "use 0 for the default of 30 s"}
	case c.Timeout < 0:
		return c, &ConfigError{"Timeout", "is negative", "use 0 for the default of 10 s"}
	}
	return c, nil
}
