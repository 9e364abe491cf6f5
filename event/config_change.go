package event

import (
	"cmp"
	"time"
)

// ConfigChange is what the library's own events say about a change of a tenant's configuration, or about what somebody
// did with its channels. A filter passes these events only when it names them (see [Filter]).
type ConfigChange struct {
	Channel  string `json:"channel" doc:"Name of the channel; empty if it is about no single one."`
	Actor    string `json:"actor,omitempty" doc:"Who did it, as the host names people and programs."`
	Revision int64  `json:"revision,omitempty" doc:"Revision of the tenant's configuration since the change; absent if it changed nothing of that."`
	// Changes have no secrets in them: those are shown as [redacted], and as changed.
	Changes []FieldChange `json:"changes,omitempty" doc:"What was changed, field by field, without secrets."`
	Count   int           `json:"count,omitempty" doc:"How many dead deliveries it was about."`
	Outcome string        `json:"outcome,omitempty" doc:"What came of a test, or what is wrong with the configuration."`
}

// FieldChange is one field that was changed. Values of more than 1,000 characters are cut.
type FieldChange struct {
	Path   string `json:"path" doc:"Path of the field, such as headers[0].name."`
	Before string `json:"before,omitempty" doc:"Its value before, as text or JSON; absent if it had none."`
	After  string `json:"after,omitempty" doc:"Its value since, as text or JSON; absent if it has none."`
}

// EventSubject is the channel's name, or "configuration" without one.
func (c ConfigChange) EventSubject() string { return cmp.Or(c.Channel, "configuration") }

// ChannelCreated says: a channel was created.
type ChannelCreated struct{ ConfigChange }

// ChannelUpdated says: a channel, or how it is used, was changed.
type ChannelUpdated struct{ ConfigChange }

// ChannelDeleted says: a channel was deleted, with what waited for it.
type ChannelDeleted struct{ ConfigChange }

// ChannelEnabled says: somebody switched a channel on.
type ChannelEnabled struct{ ConfigChange }

// ChannelSwitchedOff says: somebody switched a channel off.
type ChannelSwitchedOff struct{ ConfigChange }

// ChannelPaused says: somebody paused a channel: its events wait.
type ChannelPaused struct{ ConfigChange }

// ChannelTested says: somebody sent a test through a channel.
type ChannelTested struct{ ConfigChange }

// SecretRotated says: the secret by which a channel signs was changed, or the previous one revoked.
type SecretRotated struct{ ConfigChange }

// ConfigImported says: a tenant's whole configuration was replaced.
type ConfigImported struct{ ConfigChange }

// ConfigBroken says: a stored configuration cannot be put in force as a whole.
type ConfigBroken struct{ ConfigChange }

// DeadRedelivered says: somebody had dead deliveries queued again.
type DeadRedelivered struct{ ConfigChange }

// DeadDiscarded says: somebody removed dead deliveries for good.
type DeadDiscarded struct{ ConfigChange }

// EventType is tocsin.channel_created.
func (ChannelCreated) EventType() Type { return TypeChannelCreated }

// EventType is tocsin.channel_updated.
func (ChannelUpdated) EventType() Type { return TypeChannelUpdated }

// EventType is tocsin.channel_deleted.
func (ChannelDeleted) EventType() Type { return TypeChannelDeleted }

// EventType is tocsin.channel_enabled.
func (ChannelEnabled) EventType() Type { return TypeChannelEnabled }

// EventType is tocsin.channel_switched_off.
func (ChannelSwitchedOff) EventType() Type { return TypeChannelSwitchedOff }

// EventType is tocsin.channel_paused.
func (ChannelPaused) EventType() Type { return TypeChannelPaused }

// EventType is tocsin.channel_tested.
func (ChannelTested) EventType() Type { return TypeChannelTested }

// EventType is tocsin.secret_rotated.
func (SecretRotated) EventType() Type { return TypeSecretRotated }

// EventType is tocsin.config_imported.
func (ConfigImported) EventType() Type { return TypeConfigImported }

// EventType is tocsin.config_broken.
func (ConfigBroken) EventType() Type { return TypeConfigBroken }

// EventType is tocsin.dead_redelivered.
func (DeadRedelivered) EventType() Type { return TypeDeadRedelivered }

// EventType is tocsin.dead_discarded.
func (DeadDiscarded) EventType() Type { return TypeDeadDiscarded }

func sampleConfigChange() ConfigChange {
	return ConfigChange{Channel: "ticket-system", Actor: "priya.nair@example.com", Revision: 42}
}

func sampleChannelCreated(time.Time) Payload { return ChannelCreated{sampleConfigChange()} }

func sampleChannelUpdated(time.Time) Payload {
	c := sampleConfigChange()
	c.Changes = []FieldChange{{Path: "channel.url", Before: "https://tickets.example.com/[redacted]", After: "https://desk.example.com/[redacted]"}}
	return ChannelUpdated{c}
}

func sampleChannelDeleted(time.Time) Payload { return ChannelDeleted{sampleConfigChange()} }

func sampleChannelEnabled(time.Time) Payload { return ChannelEnabled{sampleConfigChange()} }

func sampleChannelSwitchedOff(time.Time) Payload { return ChannelSwitchedOff{sampleConfigChange()} }

func sampleChannelPaused(time.Time) Payload { return ChannelPaused{sampleConfigChange()} }

func sampleChannelTested(time.Time) Payload {
	c := sampleConfigChange()
	c.Revision, c.Outcome = 0, "the receiver answered 200"
	return ChannelTested{c}
}

func sampleSecretRotated(time.Time) Payload {
	c := sampleConfigChange()
	c.Changes = []FieldChange{{Path: "channel.sign.secret", After: "changed"}}
	return SecretRotated{c}
}

func sampleConfigImported(time.Time) Payload {
	c := sampleConfigChange()
	c.Channel = ""
	c.Changes = []FieldChange{{Path: "channels", Before: "3", After: "4"}}
	return ConfigImported{c}
}

func sampleConfigBroken(time.Time) Payload {
	c := sampleConfigChange()
	c.Actor, c.Outcome = "", "network is not offered by the host"
	return ConfigBroken{c}
}

func sampleDeadRedelivered(time.Time) Payload {
	c := sampleConfigChange()
	c.Revision, c.Count = 0, 41
	return DeadRedelivered{c}
}

func sampleDeadDiscarded(time.Time) Payload {
	c := sampleConfigChange()
	c.Revision, c.Count = 0, 2
	return DeadDiscarded{c}
}
