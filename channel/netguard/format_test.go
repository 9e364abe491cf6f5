package netguard

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
)

// No verb, copy or embedding of what this package exports prints a secret, whatever package fmt follows.
func TestNothingPrintsASecret(t *testing.T) {
	const planted = "Pl4nted-s3cret"
	t.Setenv("HTTP_PROXY", "http://user:"+planted+"@proxy.example:3128")
	t.Setenv("HTTPS_PROXY", "http://user:"+planted+"@proxy.example:3128")
	g := newGuard(t, Profile{}, nil)
	proxy := Proxy{URL: "http://proxy.example", User: "tocsin", Password: secret.Literal(planted)}
	options := ClientOptions{Proxy: &proxy}
	one := newClient(t, g, options)
	environment := newClient(t, g, ClientOptions{Proxy: &Proxy{FromEnvironment: true}})
	u, err := ParseURL("url", "https://hooks.example/", Limits{})
	require.NoError(t, err)
	h, failure := one.pool.proxy.urlFor(t.Context(), u)
	require.Nil(t, failure)
	require.Contains(t, h.String(), planted, "the secret is in use")
	_, err = one.Do(t.Context(), post(t, "https://hooks.example/"+planted+"?"+planted, "x"))
	var e *Error
	require.ErrorAs(t, err, &e)
	type hidden struct {
		guard   *Guard
		client  *Client
		proxy   Proxy
		options ClientOptions
		err     Error
	}
	type embedded struct {
		*Guard
		Proxy
	}
	for name, v := range map[string]any{
		"guard": g, "client": one, "client with the environment's proxy": environment, "proxy": proxy, "pointer to a proxy": &proxy,
		"options": options, "error": e, "copy of an error": *e, "hidden": hidden{g, one, proxy, options, *e},
		"embedded": embedded{g, proxy}, "list": []any{g, one, &proxy, []Proxy{proxy}, map[string]Proxy{"a": proxy}},
		"dereferenced client": deref(one), "dereferenced guard": deref(g),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), planted, "%s of %s", verb, name)
		}
	}
}

// deref returns a copy of what p points to.
func deref(p any) any { return reflect.ValueOf(p).Elem().Interface() }
