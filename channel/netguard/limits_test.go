package netguard

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

func withoutPort() Limits {
	return Limits{NoExplicitPort: true, Methods: []string{"POST", "PUT", "DELETE"}, MaxHeaders: 10}
}

func port443() Limits { return Limits{Ports: []int{443}, Methods: []string{"POST"}} }

func TestS9_Ports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits Limits
		urls   map[string]bool
	}{
		"default":      {Limits{}, map[string]bool{"https://a.example/": true, "https://a.example:1/": true, "https://a.example:443/": true, "http://a.example/": false}},
		"without port": {withoutPort(), map[string]bool{"https://a.example/": true, "https://a.example:443/": false, "https://a.example:8443/": false, "http://a.example/": false}},
		"port 443": {port443(), map[string]bool{
			"https://a.example/": true, "https://a.example:443/": true, "https://a.example:8443/": false, "http://a.example:443/": false, "http://a.example/": false,
		}},
		"plain, two ports": {Limits{AllowInsecureHTTP: true, Ports: []int{80, 8080}}, map[string]bool{
			"http://a.example/": true, "http://a.example:8080/": true, "https://a.example/": false, "https://a.example:80/": true, "http://a.example:81/": false,
		}},
	} {
		require.NoError(t, c.limits.Validate(), name)
		for raw, want := range c.urls {
			_, err := ParseURL("url", raw, c.limits)
			assert.Equal(t, want, err == nil, "%s: %s: %v", name, raw, err)
		}
	}
	for _, port := range []int{-1, 0, 65536} {
		var e *channel.ConfigError
		require.ErrorAs(t, Limits{Ports: []int{443, port}}.Validate(), &e)
		assert.Equal(t, "Ports[1]", e.Path)
		require.ErrorAs(t, Limits{}.ValidatePort("smtp_port", port), &e)
		assert.Equal(t, "smtp_port", e.Path)
	}
	mail := Limits{Ports: []int{25, 465, 587, 2525}}
	require.NoError(t, mail.ValidatePort("smtp_port", 587))
	require.EqualError(t, mail.ValidatePort("smtp_port", 80), "smtp_port is not an allowed port; use one of 25, 465, 587, 2525")
}

func TestS23_Methods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits  Limits
		allowed []string
	}{
		"default": {Limits{}, []string{"POST", "PUT", "PATCH", "DELETE"}}, "without port": {withoutPort(), []string{"POST", "PUT", "DELETE"}},
		"port 443": {port443(), []string{"POST"}}, "own": {Limits{Methods: []string{"GET", "POST"}}, []string{"GET", "POST"}},
	} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "", "post", "Post", "CONNECT", "TRACE", "OPTIONS", "PO ST", "POST\r\n", "PÖST"} {
			err := c.limits.ValidateMethod("method", method)
			assert.Equal(t, slices.Contains(c.allowed, method), err == nil, "%s: %q: %v", name, method, err)
		}
	}
	for _, method := range []string{"", "post", "CONNECT", "TRACE", "OPTIONS", "HEAD", "P OST"} {
		var e *channel.ConfigError
		require.ErrorAs(t, Limits{Methods: []string{"POST", method}}.Validate(), &e, method)
		assert.Equal(t, "Methods[1]", e.Path)
	}
}

func TestS24_HeaderCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits Limits
		most   int
	}{"default": {Limits{}, 25}, "without port": {withoutPort(), 10}, "own": {Limits{MaxHeaders: 3}, 3}} {
		require.NoError(t, c.limits.ValidateHeaderCount("headers", 0), name)
		require.NoError(t, c.limits.ValidateHeaderCount("headers", c.most), name)
		require.Error(t, c.limits.ValidateHeaderCount("headers", c.most+1), name)
	}
	require.EqualError(t, withoutPort().ValidateHeaderCount("headers", 11), "headers has 11 headers; use at most 10")
	require.Error(t, Limits{MaxHeaders: -1}.Validate())
}
