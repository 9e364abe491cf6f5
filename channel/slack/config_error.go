package slack

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel/webhook"
)

// ConfigError says what is wrong with one field of a configuration. It never holds the field's value.
type ConfigError struct {
	Field   string // for example "Token" or "Masks: mask 1"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *ConfigError) Error() string {
	return "slack: " + e.Field + " " + e.Problem + "; " + e.Remedy
}

// translate makes a *ConfigError of every *webhook.ConfigError joined in err. Fields that have another name here are in
// names.
func translate(err error, names map[string]string) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // walks the tree itself
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, translate(e, names))
		}
		return errors.Join(all...)
	}
	w, ok := errors.AsType[*webhook.ConfigError](err)
	if !ok {
		return err
	}
	e := ConfigError(*w)
	if name, ok := names[w.Field]; ok {
		e.Field = name
	}
	return &e
}
