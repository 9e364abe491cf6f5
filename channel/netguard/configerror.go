package netguard

import "github.com/tocsin-go/tocsin/channel"

func mistake(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "netguard", Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// below puts the configuration errors in err below a field.
func below(field string, err error) error {
	return channel.EditConfigErrors(err, func(e *channel.ConfigError) { e.Path = field + "." + e.Path })
}
