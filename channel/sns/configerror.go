package sns

import "github.com/tocsin-go/tocsin/channel"

func mistake(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "sns", Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// own makes the configuration errors of another package in err this package's, at the path that edit returns for theirs.
func own(err error, path func(theirs string) string) error {
	return channel.EditConfigErrors(err, func(e *channel.ConfigError) { e.Package, e.Path = "sns", path(e.Path) })
}

// at is a path that is the same whatever the other package says.
func at(path string) func(string) string { return func(string) string { return path } }

// below is a path below a field.
func below(field string) func(string) string {
	return func(theirs string) string { return field + "." + theirs }
}

// same is the other package's path.
func same(theirs string) string { return theirs }
