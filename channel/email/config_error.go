package email

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

// ConfigError says what is wrong with one field of a [Config]. It never holds the field's value.
type ConfigError struct {
	Field   string // for example "Relay.Host" or "To[3]"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *ConfigError) Error() string {
	return "email: " + e.Field + " " + e.Problem + "; " + e.Remedy
}

// within makes a *ConfigError for the given field of a *netguard.ConfigError. nil stays nil.
func within(field string, err error) error {
	n, ok := errors.AsType[*netguard.ConfigError](err)
	if !ok {
		return err
	}
	return &ConfigError{field, n.Reason, n.Remedy}
}
