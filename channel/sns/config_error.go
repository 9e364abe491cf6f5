package sns

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

// ConfigError says what is wrong with one field of a [Config]. It never holds the field's value.
type ConfigError struct {
	Field   string // for example "TopicARN" or "Attributes[3].Name"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *ConfigError) Error() string {
	return "sns: " + e.Field + " " + e.Problem + "; " + e.Remedy
}

// within makes a *ConfigError for the given field of a *netguard.ConfigError, whose own name of the part at fault the
// field then ends with, unless part is false. nil stays nil.
func within(field string, part bool, err error) error {
	n, ok := errors.AsType[*netguard.ConfigError](err)
	if !ok {
		return err
	}
	if part {
		field += ": " + n.Field
	}
	return &ConfigError{field, n.Reason, n.Remedy}
}
