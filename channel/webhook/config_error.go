package webhook

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// ConfigError says what is wrong with one field of a [Config]. It never holds the field's value.
type ConfigError struct {
	Field   string // for example "URL" or "Headers[3].Name"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *ConfigError) Error() string {
	return "webhook: " + e.Field + " " + e.Problem + "; " + e.Remedy
}

// within makes a *ConfigError for the given field of a *netguard.ConfigError or *secret.ConfigError. Those name parts
// of their own, such as "minimum TLS version", which the problem then begins with unless part is false. nil stays nil.
func within(field string, part bool, err error) error {
	e := &ConfigError{Field: field}
	var inner string
	if n, ok := errors.AsType[*netguard.ConfigError](err); ok {
		inner, e.Problem, e.Remedy = n.Field, n.Reason, n.Remedy
	} else if s, ok := errors.AsType[*secret.ConfigError](err); ok {
		inner, e.Problem, e.Remedy = s.Field, s.Reason, s.Remedy
	} else {
		return err
	}
	if part {
		e.Field += ": " + inner
	}
	return e
}
