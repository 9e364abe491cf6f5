package netguard

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

// urlTable lists URLs with what is called for them, or with a part of the reason why not.
var urlTable = []struct{ raw, called, reason string }{
	// Accepted.
	{raw: "https://example.com", called: "https://example.com"},
	{raw: "https://example.com/", called: "https://example.com/"},
	{raw: "HTTPS://EXAMPLE.com/Path", called: "https://example.com/Path"},
	{raw: "https://example.com:8443/a/b?c=d&e=f", called: "https://example.com:8443/a/b?c=d&e=f"},
	{raw: "https://example.com:1/", called: "https://example.com:1/"},
	{raw: "https://example.com:65535/", called: "https://example.com:65535/"},
	{raw: "https://example.com:443/", called: "https://example.com:443/"},
	{raw: "https://a.b.c.d.e.example.com/", called: "https://a.b.c.d.e.example.com/"},
	{raw: "https://xn--bcher-kva.example/", called: "https://xn--bcher-kva.example/"},
	{raw: "https://bücher.example/", called: "https://xn--bcher-kva.example/"},
	{raw: "https://BÜCHER.example/", called: "https://xn--bcher-kva.example/"},
	{raw: "https://例え.テスト/", called: "https://xn--r8jz45g.xn--zckzah/"},
	{raw: "https://faß.example/", called: "https://xn--fa-hia.example/"},
	{raw: "https://example。com/", called: "https://example.com/"},
	{raw: "https://ｅｘａｍｐｌｅ.com/", called: "https://example.com/"},
	{raw: "https://localhost/", called: "https://localhost/"},
	{raw: "https://ⓛocalhost/", called: "https://localhost/"},
	{raw: "https://metadata。google。internal/", called: "https://metadata.google.internal/"},
	{raw: "https://[0:0:0:0:0:ffff:169.254.169.254]/", called: "https://[::ffff:169.254.169.254]/"},
	{raw: "https://intranet/", called: "https://intranet/"},
	{raw: "https://My_Host.example/", called: "https://my_host.example/"},
	{raw: "https://_tickets._tcp.bücher.example/", called: "https://_tickets._tcp.xn--bcher-kva.example/"},
	{raw: "https://ab--cd.example/", called: "https://ab--cd.example/"},
	{raw: "https://AB--cd.example/", called: "https://ab--cd.example/"},
	{raw: "https://a--b.bücher.example/", called: "https://a--b.xn--bcher-kva.example/"},
	{raw: "https://example.com./", called: "https://example.com./"},
	{raw: "https://example.com。/", called: "https://example.com./"},
	{raw: "https://bücher.example.:8443/a", called: "https://xn--bcher-kva.example.:8443/a"},
	{raw: "https://8.8.8.8/", called: "https://8.8.8.8/"},
	{raw: "https://127.0.0.1/", called: "https://127.0.0.1/"},
	{raw: "https://[::1]/", called: "https://[::1]/"},
	{raw: "https://[2001:DB8:0:0::1]:8443/", called: "https://[2001:db8::1]:8443/"},
	{raw: "https://[::ffff:127.0.0.1]/", called: "https://[::ffff:127.0.0.1]/"},
	{raw: "https://4you.example/", called: "https://4you.example/"},
	{raw: "https://1.example/", called: "https://1.example/"},
	{raw: "https://a-b.example/", called: "https://a-b.example/"},
	{raw: "https://0x.example/", called: "https://0x.example/"},
	{raw: "https://example.com?q", called: "https://example.com?q"},
	{raw: "https://example.com/?", called: "https://example.com/?"},
	{raw: "https://example.com/?q='a\"<b>`{|}^", called: "https://example.com/?q=%27a%22%3Cb%3E%60%7B%7C%7D%5E"},
	{raw: "https://example.com/?q=é", called: "https://example.com/?q=%C3%A9"},
	{raw: "https://example.com/?sig=a%2Fb%3d&x=[1]", called: "https://example.com/?sig=a%2Fb%3d&x=[1]"},
	{raw: "https://example.com/é", called: "https://example.com/%C3%A9"},
	{raw: "https://example.com/a%2Fb/c%20d", called: "https://example.com/a%2Fb/c%20d"},
	{raw: "https://example.com/a\"b", called: "https://example.com/a%22b"},
	{raw: "https://example.com/a%2Fb\"c%2fé", called: "https://example.com/a%2Fb%22c%2f%C3%A9"},
	{raw: "https://example.com/{id}/^|`", called: "https://example.com/%7Bid%7D/%5E%7C%60"},
	{raw: "https://example.com/a:b@c;d=e,f!g$h'i(j)*", called: "https://example.com/a:b@c;d=e,f!g$h'i(j)*"},
	{raw: "https://example.com//a//b/../c", called: "https://example.com//a//b/../c"},
	{raw: "https://example.com/?a@b:c//d", called: "https://example.com/?a@b:c//d"},
	{raw: "https://" + strings.Repeat("a", 63) + ".example/", called: "https://" + strings.Repeat("a", 63) + ".example/"},
	{raw: "https://example.com/" + strings.Repeat("a", 8192-20), called: "https://example.com/" + strings.Repeat("a", 8192-20)},
	// Shape.
	{raw: "", reason: "is empty"},
	{raw: "example.com", reason: "not an absolute URL"},
	{raw: "//example.com/", reason: "not an absolute URL"},
	{raw: "/path", reason: "not an absolute URL"},
	{raw: "https:example.com", reason: "not an absolute URL"},
	{raw: "https:/example.com", reason: "not an absolute URL"},
	{raw: "://example.com", reason: "not an absolute URL"},
	{raw: "https://", reason: "has no host"},
	{raw: "https:///path", reason: "has no host"},
	{raw: "https://?q", reason: "has no host"},
	{raw: "https://:443/", reason: "has no host"},
	{raw: "https://[]/", reason: "has no host"},
	{raw: "https://example.com/" + strings.Repeat("a", 8192-19), reason: "longer than 8 KiB"},
	{raw: "https://example.com/\xff", reason: "not valid UTF-8"},
	// Scheme.
	{raw: "http://example.com/", reason: "not encrypted"},
	{raw: "HTTP://example.com/", reason: "not encrypted"},
	{raw: "ftp://example.com/", reason: "scheme other than https"},
	{raw: "file:///etc/passwd", reason: "scheme other than https"},
	{raw: "gopher://example.com/", reason: "scheme other than https"},
	{raw: "javascript://example.com/", reason: "scheme other than https"},
	{raw: "unix:///var/run/docker.sock", reason: "scheme other than https"},
	{raw: "httpss://example.com/", reason: "scheme other than https"},
	{raw: "https+unix://example.com/", reason: "scheme other than https"},
	// User info and fragment.
	{raw: "https://user@example.com/", reason: "user info"},
	{raw: "https://user:secret@example.com/", reason: "user info"},
	{raw: "https://@example.com/", reason: "user info"},
	{raw: "https://:@example.com/", reason: "user info"},
	{raw: "https://example.com@evil.example/", reason: "user info"},
	{raw: "https://user%40@example.com/", reason: "user info"},
	{raw: "https://example.com/#", reason: "fragment at character 21"},
	{raw: "https://example.com/#top", reason: "fragment"},
	{raw: "https://example.com#@evil.example/", reason: "fragment"},
	// Characters.
	{raw: " https://example.com/", reason: "space at character 1"},
	{raw: "https://example.com/ ", reason: "space"},
	{raw: "https://exam ple.com/", reason: "space at character 13"},
	{raw: "https://example.com/a b", reason: "space"},
	{raw: "https://example.com\\@evil.example/", reason: "backslash at character 20"},
	{raw: "https:\\\\example.com\\", reason: "backslash"},
	{raw: "https://example.com/a\\b", reason: "backslash"},
	{raw: "https://example.com/\t", reason: "control or invisible"},
	{raw: "https://example.com/\r\nX-Injected: 1", reason: "control or invisible"},
	{raw: "https://exam\nple.com/", reason: "control or invisible"},
	{raw: "https://example.com/\x00", reason: "control or invisible"},
	{raw: "https://example.com/\x7f", reason: "control or invisible"},
	{raw: "https://example.com/\u0085", reason: "control or invisible"},
	{raw: "https://example.com/\u00a0", reason: "control or invisible"},
	{raw: "https://example.com/\u2028", reason: "control or invisible"},
	{raw: "https://example.com/\u202egpj", reason: "control or invisible"},
	{raw: "https://exa\u200bmple.com/", reason: "control or invisible"},
	{raw: "https://exa\u00admple.com/", reason: "control or invisible"},
	{raw: "\ufeffhttps://example.com/", reason: "control or invisible"},
	// Labels.
	{raw: "https://.example.com/", reason: "empty label"},
	{raw: "https://example..com/", reason: "empty label"},
	{raw: "https://example.com../", reason: "empty label"},
	{raw: "https://./", reason: "empty label"},
	{raw: "https://example.com。./", reason: "empty label"},
	{raw: "https://。/", reason: "empty label"},
	{raw: "https://-example.com/", reason: "hyphen"},
	{raw: "https://example-.com/", reason: "hyphen"},
	{raw: "https://a.-b.com/", reason: "hyphen"},
	{raw: "https://" + strings.Repeat("a", 64) + ".example/", reason: "more than 63"},
	{raw: "https://" + strings.Repeat("a.", 127) + "aa/", reason: "more than 253"},
	{raw: "https://exam*ple.com/", reason: "no host name may have"},
	{raw: "https://exam!ple.com/", reason: "no host name may have"},
	{raw: "https://example.com,evil.example/", reason: "no host name may have"},
	{raw: "https://{host}/", reason: "no host name may have"},
	{raw: "https://xn--a/", reason: "begins with xn-- and is not the form of any name"},
	{raw: "https://XN--0.example/", reason: "begins with xn-- and is not the form of any name"},
	{raw: "https://xn--0.example/", reason: "begins with xn-- and is not the form of any name"},
	{raw: "https://ab--ü.example/", reason: "-- in third place beside letters outside ASCII"},
	{raw: "https://bü_cher.example/", reason: "no host name may have"},
	{raw: "https://example.com：8443/", reason: "no host name may have"},
	{raw: "https://example.com／@evil.example/", reason: "user info"},
	{raw: "https://example.com／evil.example/", reason: "no host name may have"},
	{raw: "https://evil.c℀.example.com/", reason: "no host name may have"},
	{raw: "https://user＠example.com/", reason: "no host name may have"},
	{raw: "https://example.com？evil.example/", reason: "no host name may have"},
	{raw: "https://example.com＃evil.example/", reason: "no host name may have"},
	{raw: "https://［::1］/", reason: "more than one colon"},
	{raw: "https://example.com;evil.example/", reason: "no host name may have"},
	{raw: "https://example.com%2f@evil.example/", reason: "user info"},
	{raw: "https://example.com%2fevil.example/", reason: "percent sign in the host"},
	{raw: "https://%31%32%37.0.0.1/", reason: "percent sign in the host"},
	// Ports.
	{raw: "https://example.com:/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:0/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:65536/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:0443/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:+443/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:-1/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:https/", reason: "not a number from 1 to 65535"},
	{raw: "https://example.com:443:443/", reason: "more than one colon"},
	{raw: "https://[::1]443/", reason: "between the bracket and the port"},
	{raw: "https://[::1]:/", reason: "not a number from 1 to 65535"},
	// Addresses.
	{raw: "https://[::1/", reason: "without a closing one"},
	{raw: "https://::1/", reason: "more than one colon"},
	{raw: "https://[fe80::1%25lo]/", reason: "percent sign in the host"},
	{raw: "https://[fe80::1%lo]/", reason: "percent sign in the host"},
	{raw: "https://[127.0.0.1]/", reason: "brackets in the host"},
	{raw: "https://[example.com]/", reason: "brackets in the host"},
	{raw: "https://[:::1]/", reason: "brackets in the host"},
	{raw: "https://127.1/", reason: "numeric host"},
	{raw: "https://127.0.1/", reason: "numeric host"},
	{raw: "https://2130706433/", reason: "numeric host"},
	{raw: "https://017700000001/", reason: "numeric host"},
	{raw: "https://0177.0.0.1/", reason: "numeric host"},
	{raw: "https://0x7f000001/", reason: "numeric host"},
	{raw: "https://0X7F.0.0.1/", reason: "numeric host"},
	{raw: "https://0x7f.0x0.0x0.0x1/", reason: "numeric host"},
	{raw: "https://127.0.0.0x1/", reason: "numeric host"},
	{raw: "https://127.0.0.01/", reason: "numeric host"},
	{raw: "https://127.0.0.256/", reason: "numeric host"},
	{raw: "https://1.2.3.4.5/", reason: "numeric host"},
	{raw: "https://example.1/", reason: "numeric host"},
	{raw: "https://0/", reason: "numeric host"},
	{raw: "https://0x/", reason: "numeric host"},
	{raw: "https://①②⑦.⓪.⓪.①/", reason: "only by mapping"},
	{raw: "https://１２７.0.0.1/", reason: "only by mapping"},
	{raw: "https://127。0。0。1/", reason: "only by mapping"},
	{raw: "https://𝟏𝟐𝟕.𝟎.𝟎.𝟏/", reason: "only by mapping"},
	{raw: "https://127.0.0.①/", reason: "only by mapping"},
	{raw: "https://0Ⅹ7f000001/", reason: "numeric host"},
	{raw: "https://example.com:８０/", reason: "not a number from 1 to 65535"},
	{raw: "https://169.254.169.254。/", reason: "numeric host"},
	{raw: "https://169.254.169.254./", reason: "numeric host"},
	{raw: "https://2130706433./", reason: "numeric host"},
	{raw: "https://0x7f000001./", reason: "numeric host"},
	{raw: "https://0x7f_000001/", reason: "numeric host"},
	{raw: "https://٢١٣/", reason: ""},
	// Escapes.
	{raw: "https://example.com/%", reason: "percent sign that is not followed"},
	{raw: "https://example.com/%4", reason: "percent sign that is not followed"},
	{raw: "https://example.com/%zz", reason: "percent sign that is not followed"},
	{raw: "https://example.com/?q=100%", reason: "percent sign that is not followed"},
	{raw: "https://example.com/?%20%2", reason: "percent sign that is not followed"},
}

func TestS16_S17_S18_S20_URLs(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(urlTable), 100)
	for _, c := range urlTable {
		u, err := ParseURL("webhook url", c.raw, Limits{})
		if c.called != "" {
			if assert.NoError(t, err, c.raw) {
				assert.Equal(t, c.called, u.String(), c.raw)
				again, err := ParseURL("url", u.String(), Limits{})
				if assert.NoError(t, err, "what is called is accepted again: %s", u) {
					assert.Equal(t, u, again)
				}
			}
			continue
		}
		if !assert.Nil(t, u, c.raw) {
			continue
		}
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, c.raw)
		assert.Equal(t, "webhook url", e.Path)
		assert.Contains(t, e.Problem, c.reason, c.raw)
		assert.NotEmpty(t, e.Remedy, c.raw)
	}
}

func TestS21_ErrorsNeverHoldTheURL(t *testing.T) {
	t.Parallel()
	const planted = "Pl4nted-s3cret"
	for _, template := range []string{
		"https://%s@h/", "https://h/%s#", "https://h/ %s", "ftp://%s/", "https://%s!/", "https://h:%s/", "https://[%s]/", "https://h/%%zz%s",
		"%s", "https://h/\\%s", "https://%s..h/", "https://h/%s\x00", "https://%%%s/", "https://-%s/", "https://u:%s@h/",
	} {
		raw := strings.ReplaceAll(strings.ReplaceAll(template, "%%", "%"), "%s", planted)
		_, err := ParseURL("url", raw, Limits{})
		require.Error(t, err, raw)
		assert.NotContains(t, strings.ToLower(err.Error()), strings.ToLower(planted))
		_, err = ParseHost("host", planted+"!")
		assert.NotContains(t, strings.ToLower(err.Error()), strings.ToLower(planted))
	}
}

func TestS19_InsecureHTTP(t *testing.T) {
	t.Parallel()
	u, err := ParseURL("url", "HTTP://Example.com:8080/x", Limits{AllowInsecureHTTP: true})
	require.NoError(t, err)
	assert.Equal(t, "http://example.com:8080/x", u.String())
	_, err = ParseURL("url", "ftp://example.com/", Limits{AllowInsecureHTTP: true})
	require.Error(t, err)
}

func TestS17_HostsAreMappedForDialling(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"Smtp.Example.COM": "smtp.example.com", "bücher.example": "xn--bcher-kva.example", "::1": "::1", "[2001:DB8::1]": "2001:db8::1", "10.0.0.1": "10.0.0.1",
	} {
		got, err := ParseHost("smtp_host", raw)
		require.NoError(t, err, raw)
		assert.Equal(t, want, got)
	}
	for _, raw := range []string{"", "smtp.example.com:25", "a b", "127.1", "①.1.1.1", "fe80::1%lo", "[::1", "::1]x", "a/b", "user@host", "host.\r\n", "0\xff", "xn--0-q10i"} {
		_, err := ParseHost("smtp_host", raw)
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, raw)
	}
}

func TestS26_HostAndPort(t *testing.T) {
	t.Parallel()
	clean := func(raw string) (hostPort, problem string) {
		host, port, problem := splitHostPort(raw)
		if problem == "" {
			host, problem = cleanHost(host, strings.HasPrefix(raw, "["))
		}
		return joinHostPort(host, port), problem
	}
	for raw, want := range map[string]string{
		"Example.com": "example.com", "example.com:8443": "example.com:8443", "[::1]:80": "[::1]:80", "[::1]": "[::1]", "bücher.example:1": "xn--bcher-kva.example:1",
	} {
		got, problem := clean(raw)
		require.Empty(t, problem, raw)
		assert.Equal(t, want, got)
	}
	for _, raw := range []string{"", ":80", "example.com:", "example.com:0", "example.com:99999", "a\r\nX: y", "a b", "::1", "a/b", "u@h", "h#f"} {
		_, problem := clean(raw)
		require.NotEmpty(t, problem, raw)
	}
}
