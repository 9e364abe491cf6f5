package webhook

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Auth is what a request carries as its Authorization header. The zero value is none. It is printed without its
// credential.
type Auth struct {
	scheme scheme
	name   string // the user of basic, the scheme of named
	value  secret.Value
}

type scheme uint8

const (
	none scheme = iota
	basic
	token
	named
)

// Basic is the Basic scheme of RFC 7617. Neither part may hold a control character, and user may not hold a colon. A
// password that is not set is empty.
func Basic(user string, password secret.Value) Auth { return Auth{basic, user, password} }

// Token is sent as it is, for example "Bearer abc…". It must be a valid header value, and not be empty.
func Token(value secret.Value) Auth { return Auth{token, "", value} }

// Scheme is a credential behind the name of its scheme (RFC 9110 section 11.4): Scheme("Bearer", token). It differs
// from Token in that the credential is known, and hidden, without the name.
func Scheme(name string, credential secret.Value) Auth { return Auth{named, name, credential} }

// validate returns what is wrong with a as far as it is known without asking a source.
func (a Auth) validate() error {
	switch {
	case a.scheme == basic && strings.Contains(a.name, ":"):
		return configError(channel.CodeInvalid, "Auth", "has a colon in the user name", "correct it")
	case a.scheme == basic && strings.ContainsFunc(a.name, unicode.IsControl):
		return configError(channel.CodeInvalid, "Auth", "has a control character in the user name", "remove it")
	case a.scheme == token && a.value.IsZero():
		return configError(channel.CodeMissing, "Auth", "has no credential", "give it")
	case a.scheme == named && !isToken(a.name):
		return configError(channel.CodeInvalid, "Auth", "has a scheme that is not one word", `use one like "Bearer"`)
	case a.scheme == named && a.value.IsZero():
		return configError(channel.CodeMissing, "Auth", "has no credential", "give it")
	}
	if literal, ok := literalOf(a.value); ok {
		if _, problem := a.header(literal); problem != "" {
			return configError(channel.CodeInvalid, "Auth", "has a credential that "+problem, "correct it, for example remove a line feed at the end")
		}
	}
	return nil
}

// reveal returns the header's value. The error is that of secret.Value.Reveal, or a *secret.SourceError.
func (a Auth) reveal(ctx context.Context) (string, error) {
	var credential string
	if !a.value.IsZero() {
		var err error
		if credential, err = a.value.Reveal(ctx); err != nil {
			return "", err
		}
	}
	value, problem := a.header(credential)
	if problem != "" {
		return "", &secret.SourceError{Source: a.value.Source(), Reason: problem}
	}
	return value, nil
}

// header returns the header's value with the given credential, or what is wrong with that.
func (a Auth) header(credential string) (value, problem string) {
	if a.scheme == basic {
		if strings.ContainsFunc(credential, unicode.IsControl) {
			return "", "holds a control character"
		}
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.name+":"+credential)), ""
	}
	value, problem = headerValue(credential)
	if problem == "" && value == "" {
		problem = "is empty"
	}
	if a.scheme == named {
		value = a.name + " " + value
	}
	return value, problem
}

// literalOf returns the text of a value that is given as text, which can be validated when a Channel is made.
func literalOf(v secret.Value) (string, bool) {
	if v.Source() != "literal" {
		return "", false
	}
	literal, err := v.Reveal(context.Background())
	return literal, err == nil
}
