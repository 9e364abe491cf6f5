package config

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Options are the host's part of a configuration: what documents may use. The zero value allows public addresses,
// secrets given as text and events without a tenant, and nothing else: set Tenant for documents that tenants write.
type Options struct {
	// Types are the types of channels; nil = webhook, slack and email.
	Types *Registry
	// References finds secrets by the word before the colon: {"env": Env, "file": File}, or a vault of the host's. nil
	// = secrets are given as text.
	References map[string]Reference
	// Networks are the guards that channels may name. The one named public is used by channels that name none; unless
	// given, it allows public addresses only.
	Networks map[string]*netguard.Guard
	// Limits are policies that channels may name, besides apono and beyondtrust_cloud. The one named default is used by
	// channels that name none; unless given, it is the zero value.
	Limits map[string]netguard.Limits
	// Proxies are those that channels may name, to send through; the others send without one. ClientCertificates are
	// what channels may name to show to servers that ask who we are. Whoever writes a document may use each with any
	// server.
	Proxies            map[string]*netguard.Proxy
	ClientCertificates map[string]*netguard.ClientCertificate
	// EventTypes are the host's own types of events, for filters.
	EventTypes []event.Type
	// Samples are examples of events of those types, by which Set.Findings judges templates.
	Samples []event.Event
	// Vocabularies are receivers' words for types of events that documents may name, besides those of
	// event.Vocabularies. Filters may use the words of all of them, too.
	Vocabularies map[string]event.Vocabulary
	// Tenant is whose document this is: every route takes that tenant's events and no others, whatever the document
	// says. "" = the routes take events without a tenant; dispatcher.AnyTenant = those of the whole platform, so no
	// tenant may have that for its id.
	Tenant string
	// Tenants are other tenants whose events routes may ask for, by their ids. dispatcher.AnyTenant among them allows
	// every id, and routes that take the events of all tenants. It is for documents of the operator's.
	Tenants []string
	// Stored is the document that this one replaces: where this one has [redacted], its secrets are kept. nil = that of
	// Previous.
	Stored *Document
	// Previous is the Set of the same Tenant that this one replaces. A channel that the document describes as before,
	// for the same network, limits and stores, is that of Previous: its connections, the pace of its messages and what
	// it remembers live on. Give it only while Types and References mean what they meant for it. It has to be closed
	// like any other, before or after the new one.
	Previous *Set
	// SlackReferences remembers Slack's messages by subject, for bots; MailProgress remembers which recipients have a
	// mail. nil = those of Previous, or one in memory.
	SlackReferences slack.References
	MailProgress    email.Progress

	// Lenient makes what can be made of a document that was stored, although some of its channels or routes cannot be
	// made any more. See Set.Broken.
	Lenient bool

	MaxSize int          // of the document with its aliases written out, in bytes; 0 = 1 MiB
	Caps    Caps         // the largest numbers that the document may ask for
	Logger  *slog.Logger // of the channels; nil = slog.Default
}

// Caps are the largest numbers that documents may ask for. The zero value has the defaults, which suit documents
// that tenants write; a larger number in a document is an error.
type Caps struct {
	Concurrency int           // attempts of a route at a time; 0 = 64
	Backlog     int           // deliveries of a route that wait; 0 = 100,000
	DeadLetters int           // of a route; 0 = 100,000
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
		DeadLetters: cmp.Or(c.DeadLetters, 100_000),
		MaxBody:     cmp.Or(c.MaxBody, 16<<20),
		Timeout:     cmp.Or(c.Timeout, 10*time.Minute),
		Dedup:       cmp.Or(c.Dedup, 31*24*time.Hour),
		Channels:    cmp.Or(c.Channels, 10_000),
		Routes:      cmp.Or(c.Routes, 10_000),
	}
}

func capTimeout(c Caps) time.Duration { return c.Timeout }

func (o Options) allowsTenant(id string) bool {
	return slices.Contains(o.Tenants, id) || id != "" && slices.Contains(o.Tenants, dispatcher.AnyTenant)
}

// environment is what all channels are given: what the host has set, what the Set that is replaced has, or a new one.
// The public guard of that Set keeps its connections.
func (o Options) environment() Environment {
	var before Environment
	if o.Previous != nil {
		before = o.Previous.env
	}
	e := Environment{
		Guard:      before.Guard,
		References: cmp.Or(o.SlackReferences, before.References),
		Progress:   cmp.Or(o.MailProgress, before.Progress),
		Logger:     cmp.Or(o.Logger, slog.Default()),
	}
	if e.Guard == nil {
		e.Guard = new(netguard.Guard)
	}
	if e.References == nil {
		e.References = slack.NewMemory(slack.MemoryOptions{})
	}
	if e.Progress == nil {
		e.Progress = email.NewMemory(email.MemoryOptions{})
	}
	return e
}

const (
	defaultNetwork = "public"
	defaultLimits  = "default"
)

// networks are the guards that documents may name.
func networks(o Options, public *netguard.Guard) map[string]*netguard.Guard {
	all := map[string]*netguard.Guard{defaultNetwork: public}
	maps.Copy(all, o.Networks)
	return all
}

// policies are the limits that documents may name.
func policies(o Options) map[string]netguard.Limits {
	all := map[string]netguard.Limits{
		defaultLimits: {},
		// Access-request webhooks in the style of Apono: HTTPS without a port in the URL.
		"apono": {NoExplicitPort: true, Methods: []string{"POST", "PUT", "DELETE"}, MaxHeaders: 10},
		// Outbound events in the style of BeyondTrust's cloud: HTTPS, and port 443 only.
		"beyondtrust_cloud": {Ports: []int{443}, Methods: []string{"POST"}},
	}
	maps.Copy(all, o.Limits)
	return all
}

// vocabularies are those that documents may name.
func vocabularies(o Options) map[string]event.Vocabulary {
	all := event.Vocabularies()
	maps.Copy(all, o.Vocabularies)
	return all
}
