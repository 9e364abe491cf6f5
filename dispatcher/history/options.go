package history

import (
	"errors"
	"log/slog"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

// Options configure a Recorder. The zero value is ready for use. Each tenant's routes have a history of their own in
// this: the tenant that has the most gives way, wherever there is no room for all. Routes without a tenant count as one
// tenant's, and so do those of AnyTenant.
type Options struct {
	// Buffer is how many entries may wait for the store; 0 = 4,096. When it is full, the oldest entry of the tenant
	// with the most in it is lost and counted: deliveries never wait for their history.
	Buffer int
	MaxAge time.Duration // older entries are removed; 0 = 30 days, negative = never
	// Entries is how many are kept in all; 0 = 100,000, negative = any number. The oldest of the tenant with the most
	// are removed beyond them, as Retention.Entries says. This and the limits below are exceeded by a tenth for a
	// moment.
	Entries int
	// TenantEntries is how many entries of one tenant are kept, the newest; 0 = as many as Entries leaves, negative
	// likewise.
	TenantEntries int
	// TenantBytes is how many bytes of one tenant's entries are kept (Entry.Size), the newest; 0 = 256 MiB, negative =
	// any number.
	TenantBytes int64
	MaxBody     int          // most bytes kept of a body; 0 = 16 KiB, negative = no bodies
	Logger      *slog.Logger // of losses; nil = slog.Default
}

func (o Options) withDefaults() Options {
	if o.Buffer <= 0 {
		o.Buffer = 4096
	}
	if o.MaxAge == 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	if o.Entries == 0 {
		o.Entries = 100_000
	}
	if o.TenantBytes == 0 {
		o.TenantBytes = 256 << 20
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// validate reports settings that contradict each other. Called with the defaults filled in.
func (o Options) validate() error {
	var errs []error
	if o.Entries > 0 && o.TenantEntries > o.Entries {
		errs = append(errs, configError(channel.CodeConflict, "TenantEntries", "is more than Entries, so that it limits nothing",
			"set it lower, or Entries higher"))
	}
	if o.TenantBytes > 0 && o.TenantBytes < 2*int64(o.MaxBody) {
		errs = append(errs, configError(channel.CodeRange, "TenantBytes", "is less than the two bodies that one entry may have",
			"set it higher, or MaxBody lower"))
	}
	return errors.Join(errs...)
}

func configError(code channel.ConfigCode, path, problem, remedy string) error {
	return &channel.ConfigError{Package: "history", Path: path, Code: code, Problem: problem, Remedy: remedy}
}
