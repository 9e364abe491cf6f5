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
		o := config.Options{Types: config.Registry{"keyed": keyed(&got)}, References: map[string]config.Reference{"env": config.Env, "file": config.File, "vault": vault}}
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
		o := config.Options{Types: config.Registry{"keyed": keyed(new(secret.Value))}, References: map[string]config.Reference{"env": config.Env, "file": config.File, "vault": vault}}
		_, err := config.Load("a.yaml", []byte("channels: [{type: keyed, name: a, key: "+quote(text)+"}]"), o)
		require.EqualError(t, err, want)
	}
}

// A document that the host did not allow to refer to the environment or to files cannot: not by a secret, a URL, a mask or a
// header; and it is an error, because the text itself would be sent otherwise.
func TestReferencesAreTheHostsToAllow(t *testing.T) {
	t.Setenv("TOCSIN_KEY", "from the environment")
	for _, text := range []string{"env:TOCSIN_KEY", "file:/etc/passwd"} {
		var got secret.Value
		_, err := config.Load("a.yaml", []byte("channels: [{type: keyed, name: a, key: "+quote(text)+"}]"), config.Options{Types: config.Registry{"keyed": keyed(&got)}})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "which is not allowed in this document")
		assert.True(t, got.IsZero())
	}
}
