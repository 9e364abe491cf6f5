package config

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Reference finds a secret by what follows the colon of a reference. Its error's text is shown, so it holds no
// secret.
type Reference func(name string) (secret.Value, error)

// Env is the Reference for environment variables, see [secret.Env]. A document whose writer may use it can send any
// variable of the process wherever it likes.
func Env(name string) (secret.Value, error) {
	if !variableName.MatchString(name) {
		return secret.Value{}, errors.New("is not the name of an environment variable")
	}
	return secret.Env(name), nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.()-]*$`) // with parentheses for Windows

// File is the Reference for files, see [secret.File]. A document whose writer may use it can send any file that
// the process can read wherever it likes.
func File(path string) (secret.Value, error) {
	if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return secret.Value{}, errors.New("is not the absolute path of a file")
	}
	return secret.File(path), nil
}

// literalPrefix begins text that is a secret although it looks like a reference.
const literalPrefix = "literal:"

// orLiteral ends the remedies for what looks like a reference.
const orLiteral = ", or begin it with " + literalPrefix + " if it is one"

// readSecret reads a credential.
func (r *reader) readSecret(s string) (any, *channel.ConfigError) {
	scheme, name, ok := strings.Cut(s, ":")
	switch {
	case s == "":
		return nil, valueError(channel.CodeMissing, "is empty", "give the secret, a reference to it, or remove the field")
	case s == secret.Redacted:
		return credential{value: secret.Kept()}, nil
	case strings.HasPrefix(s, literalPrefix):
		if s == literalPrefix {
			return nil, valueError(channel.CodeMissing, "is empty", "give the secret")
		}
		return credential{value: secret.Literal(s[len(literalPrefix):])}, nil
	case ok && r.references[scheme] != nil:
		if strings.TrimSpace(name) != name {
			return nil, valueError(channel.CodeInvalid, "is a reference with blanks around the name", "write "+scheme+": and the name, without a blank or a line break")
		}
		v, err := r.references[scheme](name)
		if err != nil {
			return nil, valueError(channel.CodeInvalid, err.Error(), "correct the reference")
		}
		return credential{v, s}, nil
	}
	if wrong := r.refuseLookalike(s); wrong != nil {
		return nil, wrong
	}
	return credential{value: secret.Literal(s)}, nil
}

// variable is what other programs' configurations have for a variable: alone, or with braces anywhere in a text.
var variable = regexp.MustCompile(`^\$[A-Z_][A-Z0-9_]*$|^\$\([^()]*\)$|^%[A-Za-z_][A-Za-z0-9_]*%$|\$\{[A-Za-z_][^{}]*\}|^\{\{.*\}\}$`)

// refuseLookalike says why s, which is not a reference, is not taken for a secret either: whoever wrote it meant one,
// and would have its name sent in place of the secret.
func (r *reader) refuseLookalike(s string) *channel.ConfigError {
	if variable.MatchString(strings.TrimSpace(s)) {
		return valueError(channel.CodeInvalid, "looks like a variable, and nothing is put in its place here", "give the secret, or a reference such as env:NAME, as far as the host allows it"+orLiteral)
	}
	scheme, name, ok := strings.Cut(s, ":")
	kind := strings.ToLower(strings.TrimSpace(scheme))
	i := strings.LastIndexAny(kind, " \t")
	behind := kind[i+1:] // such as env in "Bearer env:NAME"
	switch {
	case !ok:
	case i >= 0 && (r.references[behind] != nil || slices.Contains([]string{"env", "file"}, behind)) && strings.TrimSpace(name) == name:
		return valueError(channel.CodeInvalid, "has a reference behind other text", "write the reference alone, and have the secret hold the whole value"+orLiteral)
	case r.references[kind] != nil:
		return valueError(channel.CodeInvalid, "looks like a reference of the kind "+kind, "write "+kind+": and the name, in lower case and without blanks"+orLiteral)
	case kind == "env":
		return valueError(channel.CodeForbidden, "refers to the environment, which is not allowed in this document", "give the secret itself"+orLiteral)
	case kind == "file":
		return valueError(channel.CodeForbidden, "refers to a file, which is not allowed in this document", "give the secret itself"+orLiteral)
	case slices.Contains(otherReferences(), kind):
		return valueError(channel.CodeForbidden, "looks like a reference of the kind "+kind+", which the host does not offer", "use a kind that it offers, give the secret itself"+orLiteral)
	}
	return nil
}

// otherReferences are words that begin references in other programs' configurations.
func otherReferences() []string {
	return []string{
		"environment", "vault", "secret", "secrets", "secretsmanager", "ssm", "aws", "awssm", "gcp", "gsm", "gcpsm", "azure", "keyvault",
		"k8s", "kubernetes", "sops", "op", "ref", "var",
	}
}

// refuseReference says that text which is no secret looks like a reference to one; nil = it does not. It would be
// sent as it is.
func (r *reader) refuseReference(s string) *channel.ConfigError {
	scheme, _, ok := strings.Cut(strings.TrimSpace(s), ":")
	kind := strings.ToLower(scheme)
	if variable.MatchString(strings.TrimSpace(s)) || ok && (slices.Contains([]string{"env", "file"}, kind) || r.references[kind] != nil) {
		return valueError(channel.CodeInvalid, "looks like a reference, which this field cannot be", "write the text itself, or use a field for secrets")
	}
	return nil
}
