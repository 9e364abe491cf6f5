package natsqueue

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
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

const (
	defaultName     = "tocsin"
	defaultIDWindow = 5 * time.Minute
	defaultLease    = 30 * time.Second
	defaultTimeout  = 10 * time.Second
	defaultKeepDead = 30 * 24 * time.Hour

	longestName = 32
)

// withDefaults returns c with its defaults, and all mistakes in it as joined *channel.ConfigErrors.
func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	var errs []error
	bad := func(path string, code channel.ConfigCode, problem, remedy string) {
		errs = append(errs, &channel.ConfigError{Package: "natsqueue", Path: path, Code: code, Problem: problem, Remedy: remedy})
	}
	if len(c.Name) > longestName {
		bad("Name", channel.CodeRange, "is too long", "use at most 32 characters")
	}
	if strings.ContainsFunc(c.Name, func(r rune) bool { return r > 127 || !isPlain(byte(r)) }) {
		bad("Name", channel.CodeInvalid, "has a character that is not allowed", `use letters, digits, "-" and "_"`)
	}
	if !slices.Contains([]int{1, 3, 5}, c.Replicas) {
		code := channel.CodeInvalid
		if c.Replicas == 0 {
			code = channel.CodeMissing
		}
		bad("Replicas", code, "is not 1, 3 or 5", "say on how many servers jobs are stored")
	}
	for _, d := range []struct {
		path       string
		field      *time.Duration
		least, def time.Duration
	}{
		{"IDWindow", &c.IDWindow, time.Second, defaultIDWindow},
		{"Lease", &c.Lease, time.Second, defaultLease},
		{"Timeout", &c.Timeout, 0, defaultTimeout},
		{"KeepDead", &c.KeepDead, math.MinInt64, defaultKeepDead},
	} {
		if *d.field == 0 {
			*d.field = d.def
		}
		if *d.field < d.least {
			bad(d.path, channel.CodeRange, fmt.Sprintf("is below %v", d.least), fmt.Sprintf("use 0 for the default of %v", d.def))
		}
	}
	return c, errors.Join(errs...)
}
