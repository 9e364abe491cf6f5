package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// keyed is a type with one secret, which tests can look at.
func keyed(got *secret.Value) config.Type {
	return config.Type{
		Fields: []config.Field{{Name: "key", Kind: config.Secret, Required: true, Doc: "The key."}},
		Make: func(s config.Settings, _ config.Environment) (channel.Channel, error) {
			*got = s.Secret("key")
			return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }), nil
		},
	}
}

func TestSecretsByReference(t *testing.T) {
	t.Setenv("TOCSIN_KEY", "from the environment")
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte("from a file\n"), 0o600))
	vault := func(name string) (secret.Value, error) {
		if name != "known" {
			return secret.Value{}, errors.New("is not in the vault")
		}
		return secret.Literal("from the vault"), nil
	}
	for text, want := range map[string]struct{ revealed, shown string }{
		"env:TOCSIN_KEY":         {"from the environment", "env:TOCSIN_KEY"},
		"file:" + path:           {"from a file", "file:" + path},
		"vault:known":            {"from the vault", "vault:known"},
		"as it is":               {"as it is", "[redacted]"},
		"user:password":          {"user:password", "[redacted]"},
		"literal:env:TOCSIN_KEY": {"env:TOCSIN_KEY", "[redacted]"},
		"literal:[redacted]":     {"[redacted]", "[redacted]"},
	} {
		var got secret.Value
		o := config.Options{Types: config.NewRegistry(map[string]config.Type{"keyed": keyed(&got)}), References: map[string]config.Reference{"env": config.Env, "file": config.File, "vault": vault}}
		set := load(t, "a.yaml", "channels: [{type: keyed, name: a, key: "+quote(text)+"}]", o)
		revealed, err := got.Reveal(t.Context())
		require.NoError(t, err, text)
		assert.Equal(t, want.revealed, revealed)
		assert.Contains(t, string(set.Document.JSON()), `"key": `+quote(want.shown))
		again := load(t, "b.json", reveal(t, set.Document), o)
		revealed, err = got.Reveal(t.Context())
		require.NoError(t, err, text)
		assert.Equal(t, want.revealed, revealed)
		assert.Equal(t, reveal(t, set.Document), reveal(t, again.Document))
	}
	for text, want := range map[string]string{
		"vault:other":   `a.yaml:1:40: channels[0].key is not in the vault; correct the reference`,
		"env:":          `a.yaml:1:40: channels[0].key is not the name of an environment variable; correct the reference`,
		"file:relative": `a.yaml:1:40: channels[0].key is not the absolute path of a file; correct the reference`,
	} {
		o := config.Options{Types: config.NewRegistry(map[string]config.Type{"keyed": keyed(new(secret.Value))}), References: map[string]config.Reference{"env": config.Env, "file": config.File, "vault": vault}}
		_, err := config.Load("a.yaml", []byte("channels: [{type: keyed, name: a, key: "+quote(text)+"}]"), o)
		require.EqualError(t, err, want)
	}
}

// What looks like a reference and is none would be sent in place of the secret: it is a mistake. None of them is
// quoted.
func TestLookalikesOfReferencesAreMistakes(t *testing.T) {
	t.Parallel()
	all := map[string]config.Reference{"env": config.Env, "file": config.File, "passbox": config.Env}
	for text, want := range map[string]string{
		"${SMTP_PASSWORD}":       "looks like a variable",
		"${SMTP_PASSWORD:-none}": "looks like a variable",
		"Bearer ${TOKEN}":        "looks like a variable",
		"$SMTP_PASSWORD":         "looks like a variable",
		"$X":                     "looks like a variable",
		" $X ":                   "looks like a variable",
		"$(cat /etc/password)":   "looks like a variable",
		"%SMTP_PASSWORD%":        "looks like a variable",
		"{{ .Values.password }}": "looks like a variable",
		"ENV:X":                  "looks like a reference of the kind env",
		"Env:X":                  "looks like a reference of the kind env",
		" env:X":                 "looks like a reference of the kind env",
		"env :X":                 "looks like a reference of the kind env",
		"env: X":                 "is a reference with blanks around the name",
		"env:X ":                 "is a reference with blanks around the name",
		"env:X\n":                "is a reference with blanks around the name",
		"file: /etc/x":           "is a reference with blanks around the name",
		"env:$X":                 "is not the name of an environment variable",
		"env:{X}":                "is not the name of an environment variable",
		"FILE:/etc/x":            "looks like a reference of the kind file",
		"Passbox:x":              "looks like a reference of the kind passbox",
		"Bearer env:TOKEN":       "has a reference behind other text",
		"vault:x":                "looks like a reference of the kind vault, which the host does not offer",
		"Vault: x":               "looks like a reference of the kind vault, which the host does not offer",
		"op://vault/item":        "looks like a reference of the kind op, which the host does not offer",
		"secretsmanager:x":       "looks like a reference of the kind secretsmanager, which the host does not offer",
	} {
		for _, references := range []map[string]config.Reference{all, nil} {
			if references == nil && text == "Passbox:x" {
				continue // nobody knows that word
			}
			o := config.Options{Types: config.NewRegistry(map[string]config.Type{"keyed": keyed(new(secret.Value))}), References: references}
			_, err := config.Load("a.json", []byte(`{"channels": [{"type": "keyed", "name": "a", "key": `+quote(text)+"}]}"), o)
			require.Error(t, err, text)
			e := listed(err)[0]
			assert.Equal(t, "channels[0].key", e.Path, text)
			assert.NotEmpty(t, e.Remedy)
			for _, part := range []string{"X", "TOKEN", "PASSWORD", "not-a-real", "/etc"} {
				assert.NotContains(t, e.Problem, part, text)
			}
			if references != nil {
				assert.Contains(t, e.Problem, want, text)
			}
		}
		// Said to be the secret itself, it is.
		var got secret.Value
		o := config.Options{Types: config.NewRegistry(map[string]config.Type{"keyed": keyed(&got)}), References: all}
		set := load(t, "a.json", `{"channels": [{"type": "keyed", "name": "a", "key": `+quote("literal:"+text)+"}]}", o)
		assert.Equal(t, text, revealed(t, got))
		load(t, "b.json", reveal(t, set.Document), o)
		assert.Equal(t, text, revealed(t, got), "also after it was stored")
	}
	for _, text := range []string{"user:password", "pa$$word", "$1$salt$hash", "100%", "a:b:c", "Bearer abc", "{a}", "123456:ABC", "https://x.example/env:x", "multi\nline", "line\n"} {
		var got secret.Value
		load(t, "a.json", `{"channels": [{"type": "keyed", "name": "a", "key": `+quote(text)+"}]}", config.Options{Types: config.NewRegistry(map[string]config.Type{"keyed": keyed(&got)}), References: all})
		assert.Equal(t, text, revealed(t, got))
	}
}

func revealed(t *testing.T, v secret.Value) string {
	t.Helper()
	text, err := v.Reveal(t.Context())
	require.NoError(t, err)
	return text
}

// Fields that everybody can read, and URLs, do not resolve references: what looks like one is a mistake there too.
func TestLookalikesOfReferencesWhereThereAreNone(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"headers: [{name: X-Api-Key, value: 'env:KEY'}]":     "channels[0].headers[0].value looks like a reference, which this field cannot be",
		"headers: [{name: X-Api-Key, value: '${KEY}'}]":      "channels[0].headers[0].value looks like a reference, which this field cannot be",
		"auth: {kind: basic, user: 'env:USER', password: x}": "channels[0].auth.user looks like a reference, which this field cannot be",
		"url: ENV:HOOK":                         "channels[0].url is a reference, which a URL cannot be",
		"url: ${HOOK}":                          "channels[0].url is a reference, which a URL cannot be",
		"url: https://hooks.example.com/${KEY}": "channels[0].url has what looks like a variable in it",
		"url: https://${HOST}/x":                "channels[0].url has what looks like a variable in it",
		"url: https://hooks.example.com/${KEY}\nmasks: [{replacement: '{x}', value: y}]": "channels[0].url has what looks like a variable in it",
	} {
		assert.Contains(t, refused(t, hook(fields, "")), want, fields)
	}
	one(t, hook("url: https://hooks.example.com/${KEY}\nmasks: [{replacement: '${KEY}', value: y}]", ""))
	one(t, hook("url: https://hooks.example.com/env:x\nheaders: [{name: X-Ratio, value: '10:1'}]", ""))
	mail := "channels:\n  - {type: email, name: mail, smtp_host: relay.example.com, smtp_user: 'env:USER', smtp_password: x, from_address: a@example.com, to_addresses: [b@example.com]}\n"
	assert.Contains(t, refused(t, mail), "channels[0].smtp_user looks like a reference, which this field cannot be")
}

// A document that the host did not allow to refer to the environment or to files cannot: not by a secret, a URL, a mask
// or a header; and it is an error, because the text itself would be sent otherwise.
func TestReferencesAreTheHostsToAllow(t *testing.T) {
	t.Setenv("TOCSIN_KEY", "from the environment")
	for _, text := range []string{"env:TOCSIN_KEY", "file:/etc/passwd"} {
		var got secret.Value
		_, err := config.Load("a.yaml", []byte("channels: [{type: keyed, name: a, key: "+quote(text)+"}]"), config.Options{Types: config.NewRegistry(map[string]config.Type{"keyed": keyed(&got)})})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "which is not allowed in this document")
		assert.True(t, got.IsZero())
	}
}
