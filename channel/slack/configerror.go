package slack

import (
	"cmp"

	"github.com/tocsin-go/tocsin/channel"
)

func mistake(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "slack", Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// own makes the configuration errors of package webhook in err this package's. Fields that have another name here are
// in names.
func own(err error, names map[string]string) error {
	return channel.EditConfigErrors(err, func(e *channel.ConfigError) {
		e.Package, e.Path = "slack", cmp.Or(names[e.Path], e.Path)
	})
}
