package slack

import "github.com/tocsin-go/tocsin/channel"

const pkg = "slack"

func mistake(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy}
}
