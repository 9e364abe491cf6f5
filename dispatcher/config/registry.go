package config

import (
	"log/slog"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

// Registry holds the types of channel that documents may have, by name. It is a value of the host's: nothing is registered
// anywhere else.
type Registry map[string]Type

// Type is a type of channel.
type Type struct {
	Doc string // one sentence, which editors show
	// Fields are those of the channel besides name, type and network.
	Fields []Field
	// Make makes the channel, as Settings say. It connects to nothing. A channel that is an io.Closer is closed by the Set.
	// The error joins an *Error for everything that is wrong, whose Path begins at the channel, such as "topic_arn". Another
	// error's text is shown, so it holds no secret.
	Make func(s Settings, e Environment) (channel.Channel, error)
}

// channel makes a channel, also of a type that cannot.
func (t Type) channel(s Settings, e Environment) (channel.Channel, error) {
	var c channel.Channel
	var err error
	if t.Make != nil {
		c, err = t.Make(s, e)
	}
	if c == nil && err == nil {
		err = &Error{Path: "type", Problem: "makes no channel", Remedy: "have the host's Type.Make return one"}
	}
	return c, err
}

// Environment is what the host gives to channels.
type Environment struct {
	Guard  *netguard.Guard // of the channel's network
	Limits netguard.Limits // of the channel's field limits; the default if its Type has none
	Logger *slog.Logger
}

// withBuiltIn returns r with the types that are always there. A type of r with such a name replaces it.
func (r Registry) withBuiltIn(caps Caps) Registry {
	all := Registry{"webhook": webhookType(caps), "slack": slackType(caps), "email": emailType(caps)}
	for name, t := range r {
		all[name] = t
	}
	return all
}
