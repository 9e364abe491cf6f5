package webhook

import "github.com/tocsin-go/tocsin/channel"

func mistake(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "webhook", Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// own makes the configuration errors of another package in err this package's: their paths are the same here.
func own(err error) error {
	return channel.EditConfigErrors(err, func(e *channel.ConfigError) { e.Package = "webhook" })
}
