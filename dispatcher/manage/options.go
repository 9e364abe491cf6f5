package manage

import (
	"cmp"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// Options configure a Service. Documents is required, and either Sealer or Plaintext.
type Options struct {
	// Documents is where the tenants' configurations are stored, with their secrets.
	Documents Documents
	// Sealer encrypts what is stored. Plaintext says that secrets are stored readable on purpose.
	Sealer    Sealer
	Plaintext bool
	// Config is what a tenant's document may use: networks, limits, types of channels. Each call returns the same
	// guards, stores and registries, or channels are made anew with each change. Tenant, Stored, Previous and Lenient
	// mean nothing in it. nil = the zero config.Options for every tenant. Called concurrently.
	Config func(tenant string) config.Options
	// Engine is how the Engine is made: its queue, dedup store, observers and source. Routes are the platform's own: of
	// dispatcher.AnyTenant or without a tenant.
	Engine dispatcher.Config
	// History keeps what was tried; nil = the latest 10,000 attempts, in memory.
	History        history.Store
	HistoryOptions history.Options
	Alert          health.Alert // of routes whose document has no alerts of their own
	// Replica names this process among those with the same Documents; "" = host name and process id.
	Replica string
	Limits  Limits
	// ShowResponses lets Test and the history show what a receiver on a network other than public answered. Whoever may
	// edit channels can then read what is reachable there.
	ShowResponses bool
	Logger        *slog.Logger // nil = slog.Default
}

// Limits bound what one call may cost. Zero fields have the defaults.
type Limits struct {
	Document int           // bytes of a tenant's document with its secrets; 0 = 1 MiB
	Channel  int           // bytes of a channel and its routes; 0 = 512 KiB
	Sample   int           // bytes of an event or sample that is given; 0 = 64 KiB
	IDs      int           // dead letters named in a call; 0 = 1,000
	Channels int           // of a tenant; 0 = 1,000
	Tests    int           // of a tenant and process in a minute; 0 = 10
	Call     time.Duration // of a call that waits for the store or the queue; 0 = 10 s
	Test     time.Duration // of a test; 0 = 30 s
}

// testsAtOnce is how many tests of a tenant run at a time in a process.
const testsAtOnce = 2

// compareEvery is how often a Service compares what it has with the store, should its watch miss something.
const compareEvery = 30 * time.Second

func (o Options) withDefaults() Options {
	o.Limits = Limits{
		Document: cmp.Or(o.Limits.Document, 1<<20),
		Channel:  cmp.Or(o.Limits.Channel, 512<<10),
		Sample:   cmp.Or(o.Limits.Sample, 64<<10),
		IDs:      cmp.Or(o.Limits.IDs, 1000),
		Channels: cmp.Or(o.Limits.Channels, 1000),
		Tests:    cmp.Or(o.Limits.Tests, 10),
		Call:     cmp.Or(o.Limits.Call, 10*time.Second),
		Test:     cmp.Or(o.Limits.Test, 30*time.Second),
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = o.Logger
	}
	if o.HistoryOptions.Logger == nil {
		o.HistoryOptions.Logger = o.Logger
	}
	if o.History == nil {
		o.History = history.NewMemory(10_000)
	}
	if o.Replica == "" {
		host, _ := os.Hostname()
		o.Replica = host + "-" + strconv.Itoa(os.Getpid())
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	add := func(code channel.ConfigCode, path, problem, remedy string) {
		errs = append(errs, &channel.ConfigError{Package: "manage", Path: path, Code: code, Problem: problem, Remedy: remedy})
	}
	if o.Documents == nil {
		add(channel.CodeMissing, "Documents", "is nil", "give the store of the tenants' documents")
	}
	switch {
	case o.Sealer == nil && !o.Plaintext:
		add(channel.CodeMissing, "Sealer", "is nil, so that secrets would be stored readable", "give one, or say so with Plaintext")
	case o.Sealer != nil && o.Plaintext:
		add(channel.CodeConflict, "Plaintext", "is set beside Sealer", "remove one of them")
	}
	for _, r := range o.Engine.Routes {
		if r.Tenant != "" && r.Tenant != dispatcher.AnyTenant {
			add(channel.CodeConflict, "Engine.Routes", "has a route of a tenant, whose routes its document describes", "give the platform's own routes only")
			break
		}
	}
	return errors.Join(errs...)
}

// configOf is what the document of a tenant is read with.
func (s *Service) configOf(tenant string) config.Options {
	var o config.Options
	if s.options.Config != nil {
		o = s.options.Config(tenant)
	}
	o.Tenant, o.Stored, o.Previous, o.Lenient = tenant, nil, nil, false
	o.MaxSize = s.options.Limits.Channel
	if o.Caps.Channels == 0 {
		o.Caps.Channels = s.options.Limits.Channels
	}
	if o.Logger == nil {
		o.Logger = s.options.Logger
	}
	return o
}
