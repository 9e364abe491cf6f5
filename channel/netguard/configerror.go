package netguard

import "github.com/tocsin-go/tocsin/channel"

const pkg = "netguard"

func mistake(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// mistakeAt is a mistake in a field of the caller's, who may add the package.
func mistakeAt(field string, code channel.ConfigCode, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Path: field, Code: code, Problem: problem, Remedy: remedy}
}
