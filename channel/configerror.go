package channel

import (
	"errors"
	"strings"
)

// ConfigError is one mistake in a configuration: where it is, what kind of mistake, what is wrong, and what to do.
// Every package with a Config reports its mistakes in this type, all of them at once, joined with errors.Join; use
// [EditConfigErrors] to visit each. It never holds the value of a field, which might be a credential.
type ConfigError struct {
	// Package is the package whose configuration it is, such as "webhook".
	Package string
	// Path leads from the Config to the field, such as "URL", "Relay.Host" or "Headers[3].Name". "" = the whole.
	Path string
	// Of names what has the field, where its name says more than Path: such as `route "audit"`. "" = Path says enough.
	Of string
	// Code is the kind of mistake, for programs. Codes are stable.
	Code ConfigCode
	// Problem is what is wrong, in words that follow the path.
	Problem string
	// Remedy is what to do about it, as an instruction. "" = the problem says it.
	Remedy string
}

// ConfigCode is a kind of mistake in a configuration.
type ConfigCode string

// The codes. More may be added.
const (
	CodeMissing   ConfigCode = "missing"   // a value that is needed was not given
	CodeInvalid   ConfigCode = "invalid"   // the value does not have the form that is needed
	CodeUnknown   ConfigCode = "unknown"   // a name or a constant that does not exist
	CodeRange     ConfigCode = "range"     // too small, too large, too long or too many
	CodeDuplicate ConfigCode = "duplicate" // given before, where each may be given once
	CodeConflict  ConfigCode = "conflict"  // contradicts another field
	CodeForbidden ConfigCode = "forbidden" // valid, but the host's limits do not allow it
	CodeTemplate  ConfigCode = "template"  // a template that does not compile, or of a mode for another place
	CodeStored    ConfigCode = "stored"    // stands for a stored secret that cannot be kept: give the value again
)

// Error returns package, path, what has the field, problem and remedy in one line.
func (e *ConfigError) Error() string {
	var b strings.Builder
	if e.Package != "" {
		b.WriteString(e.Package + ": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + " ")
	}
	if e.Of != "" {
		b.WriteString("of " + e.Of + " ")
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// EditConfigErrors returns err with a changed copy in the place of each *ConfigError that is joined in it, in the same
// order: a package that is configured through another one's Config says so where its own user wrote the value. Other
// errors stay. nil stays nil.
func EditConfigErrors(err error, edit func(*ConfigError)) error {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself, join by join
	case nil:
		return nil
	case *ConfigError:
		edited := *e
		edit(&edited)
		return &edited
	case interface{ Unwrap() []error }:
		var all []error
		for _, each := range e.Unwrap() {
			all = append(all, EditConfigErrors(each, edit))
		}
		return errors.Join(all...)
	}
	return err
}

// ConfigErrorsAt returns err with the configuration errors in it made those of package pkg, at their paths below path,
// as they are where path is "".
func ConfigErrorsAt(err error, pkg, path string) error {
	return EditConfigErrors(err, func(e *ConfigError) { e.Package, e.Path = pkg, strings.Trim(path+"."+e.Path, ".") })
}
