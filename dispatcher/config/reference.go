package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel/secret"
)

// Reference finds a secret by what follows the colon of a reference. Its error's text is shown, so it holds no secret.
type Reference func(name string) (secret.Value, error)

// Env is the Reference for environment variables, see [secret.Env]. A document whose writer may use it can send any
// variable of the process wherever it likes.
func Env(name string) (secret.Value, error) {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return secret.Value{}, errors.New("is not the name of an environment variable")
	}
	return secret.Env(name), nil
}

// File is the Reference for files, see [secret.File]. A document whose writer may use it can send any file that the process
// can read wherever it likes.
func File(path string) (secret.Value, error) {
	if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return secret.Value{}, errors.New("is not the absolute path of a file")
	}
	return secret.File(path), nil
}

// literalPrefix begins text that is a secret although it looks like a reference.
const literalPrefix = "literal:"

// secret reads a credential.
func (r *reader) secret(s string) (data any, problem, remedy string) {
	switch scheme, name, ok := strings.Cut(s, ":"); {
	case s == "":
		return nil, "is empty", "give the secret, a reference to it, or remove the field"
	case s == secret.Redacted:
		return credential{value: secret.Kept()}, "", ""
	case strings.HasPrefix(s, literalPrefix):
		if s == literalPrefix {
			return nil, "is empty", "give the secret"
		}
		return credential{value: secret.Literal(s[len(literalPrefix):])}, "", ""
	case !ok:
	case r.references[scheme] != nil:
		v, err := r.references[scheme](name)
		if err != nil {
			return nil, err.Error(), "correct the reference"
		}
		return credential{v, s}, "", ""
	case slices.Contains([]string{"env", "file"}, scheme):
		return nil, "refers to " + map[string]string{"env": "the environment", "file": "a file"}[scheme] + ", which is not allowed in this document",
			"give the secret itself, or begin it with " + literalPrefix + " if it is one"
	}
	return credential{value: secret.Literal(s)}, "", ""
}
