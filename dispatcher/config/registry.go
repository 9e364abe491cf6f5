package config

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
)

// Registry holds the types of channels that documents may have. It is immutable and a value of the host's: nothing is
// registered anywhere else. Give one to all calls of [Load]: documents share its tables.
type Registry struct {
	types    map[string]Type
	document *table // of documents with channels of these types
}

// NewRegistry makes a Registry of the types webhook, slack and email, and of more, by the name that documents have for
// each. One of more that has such a name replaces it.
func NewRegistry(more map[string]Type) *Registry {
	types := map[string]Type{"webhook": webhookType(), "slack": slackType(), "email": emailType()}
	maps.Copy(types, more)
	return &Registry{types, documentTable(types)}
}

var builtInTypes = sync.OnceValue(func() *Registry { return NewRegistry(nil) }) //nolint:gochecknoglobals // read-only, and made when needed

// orBuiltIn returns r, or what there is without one.
func (r *Registry) orBuiltIn() *Registry {
	if r == nil || r.document == nil {
		return builtInTypes()
	}
	return r
}

// Types lists the types by name, each with all its fields: also those that all channels have. nil = the built-in ones.
// Bounds are those of c. What is returned is the caller's, but must not be modified below its first level.
func (r *Registry) Types(c Caps) []Variant {
	channels := r.orBuiltIn().document.named("channels")
	all := make([]Variant, len(channels.Variants))
	for i, v := range channels.Variants {
		all[i] = Variant{v.Name, v.Doc, bounded(slices.Concat(channels.common, v.Fields), c.withDefaults())}
	}
	return all
}

// RouteFields lists the fields of routes, as Registry.Types does those of channels.
func RouteFields(c Caps) []Field { return bounded(routeFields(), c.withDefaults()) }

// bounded returns fields with the bounds that c sets.
func bounded(fields []Field, c Caps) []Field {
	all := slices.Clone(fields)
	for i := range all {
		f := &all[i]
		f.Max, f.Longest, f.MaxItems = f.maxNumber(c), f.maxTime(c), f.maxItems(c)
		if f.Kind == Headers {
			f.Fields = headerFields
		}
		if f.Kind == Masks {
			f.Fields = maskFields
		}
		f.Fields = bounded(f.Fields, c)
		f.Variants = slices.Clone(f.Variants)
		for j := range f.Variants {
			f.Variants[j].Fields = bounded(f.Variants[j].Fields, c)
		}
	}
	return all
}

// Type is a type of channel.
type Type struct {
	Doc string // one sentence, which editors show
	// Fields are those of the channel besides name, type and network. A Text of the name limits, proxy,
	// client_certificate or vocabulary names what the host offers, which Make gets in the Environment.
	Fields []Field
	// Make makes the channel, as Settings say. It connects to nothing. A channel that is an io.Closer is closed by the
	// Set. The error joins everything that is wrong: what Settings.Mistake says of the document, and each
	// *channel.ConfigError of the channel's own package, with the path of its Go Config. Another error's text is shown,
	// so it holds no secret.
	Make func(s Settings, e Environment) (channel.Channel, error)
	// Paths are the fields of documents that fields of the Go Config are made of, for its errors:
	// {"Relay.Host": "smtp_host"}. What is in such a field is found in the other. Without an entry it is the field of
	// that name in lower case with underscores.
	Paths map[string]string

	// partial says that Make also finds what else is wrong with Settings of which parts are missing or could not be
	// read.
	partial bool
}

// finish ends a Make: it joins what is wrong with the fields of a document and what the channel's own package says, and
// closes a channel that is not to be used.
func finish(c channel.Channel, err error, fields ...error) (channel.Channel, error) {
	if err != nil {
		return nil, errors.Join(append(fields, err)...)
	}
	if problem := errors.Join(fields...); problem != nil {
		_ = closeChannel(c) // it never sent anything
		return nil, problem
	}
	return c, nil
}

// channel makes a channel, also of a type that cannot.
func (t Type) channel(s Settings, e Environment) (channel.Channel, error) {
	var c channel.Channel
	var err error
	if t.Make != nil {
		c, err = t.Make(s, e)
	}
	if c == nil && err == nil {
		err = s.Mistake("type", channel.CodeInvalid, "makes no channel", "have the host's Type.Make return one")
	}
	return c, err
}

// Environment is what the host gives to channels.
type Environment struct {
	Guard  *netguard.Guard // of the channel's network
	Limits netguard.Limits // of the channel's field limits; the default if its Type has none
	// Proxy and ClientCertificate are what the channel's fields proxy and client_certificate name; nil if they name
	// none.
	Proxy             *netguard.Proxy
	ClientCertificate *netguard.ClientCertificate
	// Words are the vocabulary that the channel's field of that name names; nil if it names none.
	Words event.Vocabulary
	// References and Progress are what channels remember beyond one attempt, and beyond a change of the document.
	References slack.References
	Progress   email.Progress
	Logger     *slog.Logger
}
