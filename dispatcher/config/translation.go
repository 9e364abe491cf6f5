package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// flatten lists the errors that are joined in err.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// below puts the *Errors joined in err below a field.
func below(field string, err error) error {
	all := flatten(err)
	for i, e := range all {
		if inner, ok := errors.AsType[*Error](e); ok {
			moved := *inner
			moved.Path = field
			if inner.Path != "" {
				moved.Path = join(field, inner.Path)
			}
			all[i] = &moved
		}
	}
	return errors.Join(all...)
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// translated makes *Errors of what the built-in channels and the dispatcher say about their own configuration. Their
// fields have our names in lower case with underscores, unless names says otherwise, of the Go field or of what is made
// of it.
func translated(err error, names map[string]string) error {
	all := flatten(err)
	for i, e := range all {
		c, ok := errors.AsType[*channel.ConfigError](e)
		if !ok {
			continue
		}
		path := ours(c.Path, names)
		all[i] = &Error{Path: cmp.Or(names[path], path), Problem: inOurWords(c.Problem), Remedy: inOurWords(c.Remedy)}
	}
	return errors.Join(all...)
}

// inOurWords replaces names of Go fields in advice, and leaves out what only the host can do.
func inOurWords(s string) string {
	return strings.NewReplacer(
		"have http:// allowed for this channel (Limits.AllowInsecureHTTP)", "name limits that allow http://",
		", or extend Relay.Ports", "", ", or set AllowPlaintextAuth", "", "Mode is none", "smtp_tls is none",
		"ToComputed", "to_templates", "Bcc", "bcc_addresses", "in To ", "in to_addresses ",
		"leave Auth out", "leave auth out", "the Fallback", "the fallback",
	).Replace(s)
}

// hump is the end of a word in a Go name, such as that of ContentType before its T.
var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// ours turns the name of a Go field, such as "Headers[3].Name", into the one in documents.
func ours(field string, names map[string]string) string {
	name, index, _ := strings.Cut(field, "[")
	if path, ok := names[name]; ok {
		if index != "" {
			path += "[" + ours(index, nil)
		}
		return path
	}
	return strings.ToLower(hump.ReplaceAllString(field, "${1}_${2}"))
}
