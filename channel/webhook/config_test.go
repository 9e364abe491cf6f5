package webhook_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

func TestS9_S16_S19_S21_S23_S24_NewRefuses(t *testing.T) {
	t.Parallel()
	const good = "https://hooks.test/T0P-S3CRET"
	headers := func(h ...webhook.Header) webhook.Config { return webhook.Config{URL: good, Headers: h} }
	many := make([]webhook.Header, 26)
	for i := range many {
		many[i] = webhook.Header{Name: fmt.Sprintf("X-%d", i)}
	}
	for name, tc := range map[string]struct {
		config webhook.Config
		field  string
		says   string
	}{
		"no URL":           {webhook.Config{}, "URL", "is empty"},
		"relative URL":     {webhook.Config{URL: "/T0P-S3CRET"}, "URL", "is not an absolute URL"},
		"http":             {webhook.Config{URL: "http://hooks.test/T0P-S3CRET"}, "URL", "is not encrypted"},
		"user":             {webhook.Config{URL: "https://me:T0P-S3CRET@hooks.test/"}, "URL", "has user info"},
		"fragment":         {webhook.Config{URL: good + "#T0P-S3CRET"}, "URL", "has a fragment"},
		"line feed":        {webhook.Config{URL: good + "\r\nX-Injected: 1"}, "URL", "control or invisible character"},
		"zone":             {webhook.Config{URL: "https://[fe80::1%25lo]/T0P-S3CRET"}, "URL", "zone"},
		"port by policy":   {webhook.Config{URL: "https://hooks.test:8443/T0P-S3CRET", Limits: beyondTrustCloudLimits()}, "URL", "port that is not allowed"},
		"any port":         {webhook.Config{URL: "https://hooks.test:443/T0P-S3CRET", Limits: aponoLimits()}, "URL", "names a port"},
		"GET":              {webhook.Config{URL: good, Method: "GET"}, "Method", "is not an allowed method"},
		"lower case":       {webhook.Config{URL: good, Method: "post"}, "Method", "is not an allowed method"},
		"CONNECT":          {webhook.Config{URL: good, Method: "CONNECT"}, "Method", "is not an allowed method"},
		"PATCH by policy":  {webhook.Config{URL: good, Method: "PATCH", Limits: aponoLimits()}, "Method", "is not an allowed method"},
		"26 headers":       {webhook.Config{URL: good, Headers: many}, "Headers", "has 26 headers"},
		"11 by policy":     {webhook.Config{URL: good, Headers: many[:11], Limits: aponoLimits()}, "Headers", "has 11 headers"},
		"secret and value": {headers(webhook.Header{Name: "X", Value: "T0P-S3CRET", Secret: secret.Literal("T0P-S3CRET")}), "Headers[0].Value", "is set beside a secret"},
		"bad secret":       {headers(webhook.Header{Name: "X", Secret: secret.Literal("T0P-S3CRET\n")}), "Headers[0].Secret", "printable ASCII"},
		"header of before": {headers(webhook.Header{Name: "X", Secret: secret.Kept()}), "Headers[0].Secret", "stored before"},
		"scheme of two":    {webhook.Config{URL: good, Auth: webhook.Scheme("Bearer T0P", secret.Literal("T0P-S3CRET"))}, "Auth", "is not one word"},
		"scheme alone":     {webhook.Config{URL: good, Auth: webhook.Scheme("Bearer", secret.Value{})}, "Auth", "has no credential"},
		"scheme line feed": {webhook.Config{URL: good, Auth: webhook.Scheme("Bearer", secret.Literal("T0P-S3CRET\n"))}, "Auth", "printable ASCII"},
		"token of before":  {webhook.Config{URL: good, Auth: webhook.Token(secret.Kept())}, "Auth", "stored before"},
		"mask of before": {webhook.Config{URL: "https://hooks.test/M1", Masks: []secret.Mask{{Replacement: "M1", Value: secret.Kept()}}},
			"Masks[0].Value", "stored before"},
		"mask in the host": {webhook.Config{URL: "https://M1.example/M1", Masks: []secret.Mask{{Replacement: "M1", Value: secret.Literal("T0P-S3CRET")}}},
			"Masks[0].Replacement", "occurs in scheme, host or port"},
		"mask with a space": {webhook.Config{URL: "https://hooks.test/M1", Masks: []secret.Mask{{Replacement: "M1", Value: secret.Literal("T0P S3CRET")}}},
			"Masks", "a URL that is not valid"},
		"rate limit":          {webhook.Config{URL: good, RateLimit: 99}, "RateLimit", "is not one of the constants"},
		"TLS version":         {webhook.Config{URL: good, TLS: netguard.TLS{MinVersion: 1}}, "TLS.MinVersion", "is not a version"},
		"CA":                  {webhook.Config{URL: good, TLS: netguard.TLS{CAPEM: []byte("T0P-S3CRET")}}, "TLS.CAPEM", "holds no certificate"},
		"limits":              {webhook.Config{URL: good, Limits: netguard.Limits{MaxHeaders: -1}}, "Limits.MaxHeaders", "is negative"},
		"proxy":               {webhook.Config{URL: good, Proxy: &netguard.Proxy{URL: "socks5://T0P-S3CRET"}}, "Proxy.URL", "scheme other than http"},
		"nameless header":     {headers(webhook.Header{Value: "T0P-S3CRET"}), "Headers[0].Name", "is empty"},
		"blank in a name":     {headers(webhook.Header{Name: "X Y"}), "Headers[0].Name", "holds a character"},
		"colon in a name":     {headers(webhook.Header{Name: "X:Y"}), "Headers[0].Name", "holds a character"},
		"line feed in a name": {headers(webhook.Header{Name: "X\nY"}), "Headers[0].Name", "holds a character"},
		"letter beyond ASCII": {headers(webhook.Header{Name: "Xé"}), "Headers[0].Name", "holds a character"},
		"same name twice": {headers(webhook.Header{Name: "X-Team"}, webhook.Header{Name: "x-tEAM"}),
			"Headers[1].Name", "repeats an earlier header"},
		"line feed in a value": {headers(webhook.Header{Name: "X-Key", Value: "T0P-S3CRET\r\nHost: evil.example"}), "Headers[0].Value", "printable ASCII"},
		"NUL in a value":       {headers(webhook.Header{Name: "X-Key", Value: "T0P-S3CRET\x00"}), "Headers[0].Value", "printable ASCII"},
		"é in a value":         {headers(webhook.Header{Name: "X-Key", Value: "T0P-S3CRETé"}), "Headers[0].Value", "printable ASCII"},
		"long value":           {headers(webhook.Header{Name: "X-Key", Value: strings.Repeat("T0P-S3CRET", 820)}), "Headers[0].Value", "is longer than 8 KiB"},
		"Authorization twice": {webhook.Config{URL: good, Auth: webhook.Token(secret.Literal("T0P-S3CRET")),
			Headers: []webhook.Header{{Name: "authorization", Value: "T0P-S3CRET"}}}, "Headers[0].Name", "is Authorization, which the authorization sets"},
		"colon in a user name":     {webhook.Config{URL: good, Auth: webhook.Basic("T0P-S3CRET:", secret.Literal("x"))}, "Auth", "a colon in the user name"},
		"line feed in a password":  {webhook.Config{URL: good, Auth: webhook.Basic("me", secret.Literal("T0P-S3CRET\n"))}, "Auth", "a control character"},
		"line feed in a user name": {webhook.Config{URL: good, Auth: webhook.Basic("T0P-S3CRET\n", secret.Value{})}, "Auth", "a control character"},
		"no token":                 {webhook.Config{URL: good, Auth: webhook.Token(secret.Value{})}, "Auth", "has no credential"},
		"empty token":              {webhook.Config{URL: good, Auth: webhook.Token(secret.Literal(" "))}, "Auth", "has a credential that is empty"},
		"line feed in a token":     {webhook.Config{URL: good, Auth: webhook.Token(secret.Literal("Bearer T0P-S3CRET\nHost: x"))}, "Auth", "printable ASCII"},
		"success below 200":        {webhook.Config{URL: good, Success: []int{200, 199}}, "Success[1]", "is not a status from 200 to 599"},
		"success above 599":        {webhook.Config{URL: good, Success: []int{600}}, "Success[0]", "is not a status from 200 to 599"},
		"success twice":            {webhook.Config{URL: good, Success: []int{200, 200}}, "Success[1]", "repeats a status"},
		"negative connect timeout": {webhook.Config{URL: good, Timeouts: netguard.Timeouts{Connect: -1}}, "Timeouts.Connect", "is negative"},
		"negative TLS timeout":     {webhook.Config{URL: good, Timeouts: netguard.Timeouts{TLS: -1}}, "Timeouts.TLS", "is negative"},
		"negative header timeout":  {webhook.Config{URL: good, Timeouts: netguard.Timeouts{Header: -time.Hour}}, "Timeouts.Header", "is negative"},
		"negative response":        {webhook.Config{URL: good, MaxResponse: -1}, "MaxResponse", "is not a size up to 1 MiB"},
		"huge response":            {webhook.Config{URL: good, MaxResponse: 1<<20 + 1}, "MaxResponse", "is not a size up to 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook, err := webhook.New(tc.config)
			require.Error(t, err)
			assert.Nil(t, hook)
			e, ok := errors.AsType[*channel.ConfigError](err)
			require.True(t, ok, "%T", err)
			assert.Equal(t, tc.field, e.Path)
			assert.Contains(t, e.Problem, tc.says)
			assert.NotEmpty(t, e.Remedy)
			assert.NotContains(t, err.Error(), "T0P-S3CRET")
			assert.NotContains(t, err.Error(), "hooks.test")
			assert.NotContains(t, err.Error(), "\n", "one problem, one line")
		})
	}
}

func TestS25_ReservedHeadersAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Host", "content-length", "CONTENT-TYPE", "Content-Encoding", "Transfer-Encoding", "Connection",
		"Keep-Alive", "Proxy-Authorization", "proxy-connection", "TE", "Trailer", "Upgrade", "Expect", "Accept-Encoding",
		"HTTP2-Settings", "webhook-id", "Webhook-Signature", "tocsin-test"} {
		_, err := webhook.New(webhook.Config{URL: "https://hooks.example", Headers: []webhook.Header{{Name: name, Value: "x"}}})
		assert.ErrorContains(t, err, "is a header that is set by this channel or by HTTP itself", name)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := webhook.New(webhook.Config{
		Method: "get", Headers: []webhook.Header{{Name: ""}, {Name: "Host"}}, Auth: webhook.Token(secret.Literal("")), Success: []int{0}, MaxResponse: -1,
	})
	require.Error(t, err)
	var fields []string
	for line := range strings.Lines(err.Error()) {
		fields = append(fields, strings.Fields(line)[1])
	}
	assert.Equal(t, []string{"URL", "Method", "Success[0]", "MaxResponse", "Headers[0].Name", "Headers[1].Name", "Auth"}, fields)
}

func TestNewTakes(t *testing.T) {
	t.Parallel()
	full := make([]webhook.Header, 25)
	for i := range full {
		full[i] = webhook.Header{Name: fmt.Sprintf("X-%d", i)}
	}
	for name, c := range map[string]webhook.Config{
		"host only":          {URL: "https://hooks.example"},
		"upper case":         {URL: "HTTPS://HOOKS.EXAMPLE:8443/Path?q=1"},
		"IPv6":               {URL: "https://[::1]:8080/"},
		"http, if allowed":   {URL: "http://hooks.example", Limits: netguard.Limits{AllowInsecureHTTP: true}},
		"every method":       {URL: "https://hooks.example", Method: http.MethodDelete},
		"masks":              {URL: "https://hooks.test/{m}?t={m}", Masks: []secret.Mask{{Replacement: "{m}", Value: secret.Env("TOCSIN_TEST_ABSENT")}}},
		"secret elsewhere":   {URL: "https://hooks.example", Auth: webhook.Token(secret.File("/does/not/exist"))},
		"25 headers":         {URL: "https://hooks.example", Headers: full},
		"own Authorization":  {URL: "https://hooks.example", Headers: []webhook.Header{{Name: "Authorization", Value: "Key x"}}},
		"own User-Agent":     {URL: "https://hooks.example", Headers: []webhook.Header{{Name: "User-Agent", Value: "pam/3"}}},
		"a tab, and a tilde": {URL: "https://hooks.example", Headers: []webhook.Header{{Name: "!#$%&'*+-.^_`|~", Value: "a\tb~"}}},
		"largest response":   {URL: "https://hooks.example", MaxResponse: 1 << 20},
		"empty password":     {URL: "https://hooks.example", Auth: webhook.Basic("me", secret.Literal(""))},
	} {
		hook, err := webhook.New(c)
		if assert.NoError(t, err, name) {
			assert.NoError(t, hook.Close(), name)
		}
	}
}

func TestS52_NothingPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	config := webhook.Config{
		URL:     "https://hooks.test:8443/T0P-S3CRET?sig=T0P-S3CRET",
		Headers: []webhook.Header{{Name: "X-Key", Value: "T0P-S3CRET"}, {Name: "X-Key-2", Secret: secret.Literal("T0P-S3CRET")}},
		Auth:    webhook.Token(secret.Literal("Bearer T0P-S3CRET")),
	}
	hook, err := webhook.New(config)
	require.NoError(t, err)
	type holder struct{ inner any }
	for name, v := range map[string]any{
		"config": config, "pointer": &config, "header": config.Headers[0], "headers": config.Headers, "auth": config.Auth,
		"basic": webhook.Basic("me", secret.Literal("T0P-S3CRET")), "channel": hook, "held": holder{hook}, "bad": webhook.Config{URL: "T0P-S3CRET"},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			printed := fmt.Sprintf(verb, v)
			assert.NotContains(t, printed, "T0P-S3CRET", "%s %s", name, verb)
			assert.NotContains(t, printed, fmt.Sprintf("%x", "T0P-S3CRET"), "%s %s", name, verb)
			assert.NotContains(t, printed, strings.Trim(fmt.Sprintf("%d", []byte("T0P-S3CRET")), "[]"), "%s %s", name, verb)
		}
	}
	assert.Equal(t, "webhook.Config(https://hooks.test:8443)", fmt.Sprint(config))
	assert.Equal(t, "webhook.Channel(POST https://hooks.test:8443)", fmt.Sprint(hook))

	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("made", "config", config, "channel", hook, "auth", config.Auth, "header", config.Headers[0])
	slog.New(slog.NewTextHandler(&logged, nil)).Info("made", "config", config, "channel", hook, "auth", config.Auth, "header", config.Headers[0])
	assert.NotContains(t, logged.String(), "T0P-S3CRET")
}

func FuzzConfig(f *testing.F) {
	f.Add("https://hooks.test/a?b=c", "X-Team", "pam", "Bearer abcdefgh")
	f.Add("http://[::1]:80/%41", "x-\n", "\r\n", "")
	f.Add("http://a:b@c#d", "Host", "é", "\t")
	f.Fuzz(func(t *testing.T, rawURL, name, value, token string) {
		c := webhook.Config{URL: rawURL, Limits: netguard.Limits{AllowInsecureHTTP: true}, Headers: []webhook.Header{{Name: name, Value: value}}, Auth: webhook.Token(secret.Literal(token))}
		hook, err := webhook.New(c)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				assert.Contains(t, line, "webhook: ")
			}
			return
		}
		// What New takes must be a request that net/http agrees to write, in which nothing was injected.
		var wire bytes.Buffer
		require.NoError(t, hook.Model().Write(&wire))
		assert.Equal(t, hook.Lines(), strings.Count(wire.String(), "\r\n"))
		assert.Equal(t, hook.Lines(), strings.Count(wire.String(), "\n"))
		require.NoError(t, hook.Close())
	})
}
