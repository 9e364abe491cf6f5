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

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const good = "https://hooks.example/T0P-S3CRET"
	headers := func(h ...webhook.Header) webhook.Config { return webhook.Config{URL: good, Headers: h} }
	type refusal = struct {
		config webhook.Config
		field  string
		says   string
	}
	templated := func(rest string, mode template.Mode, source, field, says string) refusal {
		return refusal{webhook.Config{URL: "https://hooks.example" + rest, Path: compile(t, mode, source)}, field, says}
	}
	many := make([]webhook.Header, 26)
	for i := range many {
		many[i] = webhook.Header{Name: fmt.Sprintf("X-%d", i)}
	}
	for name, tc := range map[string]refusal{
		"no URL":              {webhook.Config{}, "URL", "is empty"},
		"relative URL":        {webhook.Config{URL: "/T0P-S3CRET"}, "URL", "does not begin with http:// or https://"},
		"other scheme":        {webhook.Config{URL: "ftp://hooks.example/T0P-S3CRET"}, "URL", "does not begin with http:// or https://"},
		"scheme only":         {webhook.Config{URL: "https:T0P-S3CRET"}, "URL", "has no host"},
		"no host":             {webhook.Config{URL: "https:///T0P-S3CRET"}, "URL", "has no host"},
		"port without host":   {webhook.Config{URL: "https://:443/T0P-S3CRET"}, "URL", "has no host"},
		"user":                {webhook.Config{URL: "https://me@hooks.example/T0P-S3CRET"}, "URL", "holds a user name"},
		"user and password":   {webhook.Config{URL: "https://me:T0P-S3CRET@hooks.example/"}, "URL", "holds a user name"},
		"fragment":            {webhook.Config{URL: good + "#T0P-S3CRET"}, "URL", "has a fragment"},
		"empty fragment":      {webhook.Config{URL: good + "#"}, "URL", "has a fragment"},
		"space":               {webhook.Config{URL: good + " "}, "URL", "holds a space"},
		"no-break space":      {webhook.Config{URL: good + "\u00a0"}, "URL", "holds a space"},
		"line feed":           {webhook.Config{URL: good + "\r\nX-Injected: 1"}, "URL", "holds a space"},
		"backslash":           {webhook.Config{URL: `https://hooks.example\T0P-S3CRET`}, "URL", "backslash"},
		"bad escape":          {webhook.Config{URL: good + "%zz"}, "URL", "cannot be parsed"},
		"port 0":              {webhook.Config{URL: "https://hooks.example:0/T0P-S3CRET"}, "URL", "has a port that is not 1 to 65535"},
		"port too big":        {webhook.Config{URL: "https://hooks.example:65536/T0P-S3CRET"}, "URL", "has a port that is not 1 to 65535"},
		"empty port":          {webhook.Config{URL: "https://hooks.example:/T0P-S3CRET"}, "URL", "has a port that is not 1 to 65535"},
		"port is a word":      {webhook.Config{URL: "https://hooks.example:T0P-S3CRET"}, "URL", "cannot be parsed"},
		"zone":                {webhook.Config{URL: "http://[fe80::1%25lo]/T0P-S3CRET"}, "URL", "zone"},
		"too long":            {webhook.Config{URL: good + strings.Repeat("x", 8<<10)}, "URL", "is longer than 8 KiB"},
		"GET":                 {webhook.Config{URL: good, Method: "GET"}, "Method", "is not one of POST, PUT, PATCH and DELETE"},
		"lower case":          {webhook.Config{URL: good, Method: "post"}, "Method", "is not one of"},
		"CONNECT":             {webhook.Config{URL: good, Method: "CONNECT"}, "Method", "is not one of"},
		"26 headers":          {webhook.Config{URL: good, Headers: many}, "Headers", "are more than 25"},
		"nameless header":     {headers(webhook.Header{Value: "T0P-S3CRET"}), "Headers[0].Name", "is empty or holds a character"},
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
		"Authorization twice": {webhook.Config{URL: good, Auth: webhook.Token("T0P-S3CRET"),
			Headers: []webhook.Header{{Name: "authorization", Value: "T0P-S3CRET"}}}, "Headers[0].Name", "is Authorization, which Auth sets"},
		"colon in a user name":     {webhook.Config{URL: good, Auth: webhook.Basic("T0P-S3CRET:", "x")}, "Auth", "a colon in the user name"},
		"line feed in a password":  {webhook.Config{URL: good, Auth: webhook.Basic("me", "T0P-S3CRET\n")}, "Auth", "a control character"},
		"empty token":              {webhook.Config{URL: good, Auth: webhook.Token(" ")}, "Auth", "is a Token that is empty"},
		"line feed in a token":     {webhook.Config{URL: good, Auth: webhook.Token("Bearer T0P-S3CRET\nHost: x")}, "Auth", "printable ASCII"},
		"success below 200":        {webhook.Config{URL: good, Success: []int{200, 199}}, "Success[1]", "is not a status from 200 to 599"},
		"success above 599":        {webhook.Config{URL: good, Success: []int{600}}, "Success[0]", "is not a status from 200 to 599"},
		"success twice":            {webhook.Config{URL: good, Success: []int{200, 200}}, "Success[1]", "repeats a status"},
		"negative connect timeout": {webhook.Config{URL: good, Timeouts: webhook.Timeouts{Connect: -1}}, "Timeouts.Connect", "is negative"},
		"negative TLS timeout":     {webhook.Config{URL: good, Timeouts: webhook.Timeouts{TLS: -1}}, "Timeouts.TLS", "is negative"},
		"negative header timeout":  {webhook.Config{URL: good, Timeouts: webhook.Timeouts{Header: -time.Hour}}, "Timeouts.Header", "is negative"},
		"negative response":        {webhook.Config{URL: good, MaxResponse: -1}, "MaxResponse", "is not a size up to 1 MiB"},
		"huge response":            {webhook.Config{URL: good, MaxResponse: 1<<20 + 1}, "MaxResponse", "is not a size up to 1 MiB"},
		"body for HTML":            {webhook.Config{URL: good, Body: compile(t, template.HTML, "T0P-S3CRET")}, "Body", "is not a template for JSON"},
		"body for a URL":           {webhook.Config{URL: good, Body: compile(t, template.URL, "/T0P-S3CRET")}, "Body", "is not a template for JSON"},
		"negative body":            {webhook.Config{URL: good, MaxBody: -1}, "MaxBody", "is negative"},
		"path of plain text":       templated("", template.Text, "/T0P-S3CRET", "Path", "is not a template for URLs"),
		"path beside a path":       templated("/T0P-S3CRET", template.URL, "/{{id}}", "URL", "has a path or query beside Path"),
		"path beside a query":      templated("?T0P-S3CRET", template.URL, "/{{id}}", "URL", "has a path or query beside Path"),
		"path beside a ?":          templated("/?", template.URL, "/{{id}}", "URL", "has a path or query beside Path"),
		"path beside a bad URL":    templated(" T0P-S3CRET", template.URL, "/{{id}}", "URL", "holds a space"),
		"empty path":               templated("", template.URL, "", "Path", "does not begin with exactly one slash"),
		"path without a slash":     templated("", template.URL, "T0P-S3CRET", "Path", "does not begin with exactly one slash"),
		"path that is a host":      templated("", template.URL, ".evil.example/{{! T0P-S3CRET }}", "Path", "does not begin with exactly one slash"),
		"path that is a user":      templated("", template.URL, "@evil.example/", "Path", "does not begin with exactly one slash"),
		"path that is a port":      templated("", template.URL, ":8080/T0P-S3CRET", "Path", "does not begin with exactly one slash"),
		"path with an origin":      templated("", template.URL, "https://evil.example/{{id}}", "Path", "does not begin with exactly one slash"),
		"query only":               templated("", template.URL, "?x={{id}}", "Path", "does not begin with exactly one slash"),
		"path with a fragment":     templated("", template.URL, "/T0P-S3CRET/{{id}}#", "Path", "has a fragment"),
		"path with a line feed":    templated("", template.URL, "/T0P-S3CRET/{{id}}\n", "Path", "holds a space"),
		"path with a backslash":    templated("", template.URL, `/T0P-S3CRET\x{{id}}`, "Path", "backslash"),
		"path with a bad escape":   templated("", template.URL, "/T0P-S3CRET%zz/{{id}}", "Path", "cannot be parsed"),
		"long path":                templated("", template.URL, "/T0P-S3CRET"+strings.Repeat("x", 8<<10), "Path", "is longer than 8 KiB"),
		"header for a URL": {headers(webhook.Header{Name: "X", Template: compile(t, template.URL, "/T0P-S3CRET")}),
			"Headers[0].Template", "is not a template for headers"},
		"header with a value as well": {headers(webhook.Header{Name: "X", Value: "T0P-S3CRET", Template: compile(t, template.Header, "{{id}}")}),
			"Headers[0].Value", "is set beside Template"},
		"reserved header with a template": {headers(webhook.Header{Name: "Host", Template: compile(t, template.Header, "{{id}}")}),
			"Headers[0].Name", "is a header that is set by this channel"},
		"same name twice, with templates": {headers(webhook.Header{Name: "X-Team", Template: compile(t, template.Header, "{{id}}")}, webhook.Header{Name: "x-team", Value: "x"}),
			"Headers[1].Name", "repeats an earlier header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook, err := webhook.New(tc.config)
			require.Error(t, err)
			assert.Nil(t, hook)
			e, ok := errors.AsType[*webhook.ConfigError](err)
			require.True(t, ok, "%T", err)
			assert.Equal(t, tc.field, e.Field)
			assert.Contains(t, e.Problem, tc.says)
			assert.NotEmpty(t, e.Remedy)
			assert.NotContains(t, err.Error(), "T0P-S3CRET")
			assert.NotContains(t, err.Error(), "hooks.example")
			assert.NotContains(t, err.Error(), "\n", "one problem, one line")
		})
	}
}

func TestNewRefusesReservedHeaders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Host", "content-length", "CONTENT-TYPE", "Content-Encoding", "Transfer-Encoding", "Connection",
		"Keep-Alive", "Proxy-Authorization", "proxy-connection", "TE", "Trailer", "Upgrade", "Expect", "Accept-Encoding",
		"HTTP2-Settings", "webhook-id", "Webhook-Signature"} {
		_, err := webhook.New(webhook.Config{URL: "https://hooks.example", Headers: []webhook.Header{{Name: name, Value: "x"}}})
		assert.ErrorContains(t, err, "is a header that is set by this channel or by HTTP itself", name)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := webhook.New(webhook.Config{
		Method: "get", Headers: []webhook.Header{{Name: ""}, {Name: "Host"}}, Auth: webhook.Token(""), Success: []int{0}, MaxResponse: -1,
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
		"IPv6":               {URL: "http://[::1]:8080/"},
		"every method":       {URL: "http://hooks.example", Method: http.MethodDelete},
		"25 headers":         {URL: "https://hooks.example", Headers: full},
		"own Authorization":  {URL: "https://hooks.example", Headers: []webhook.Header{{Name: "Authorization", Value: "Key x"}}},
		"own User-Agent":     {URL: "https://hooks.example", Headers: []webhook.Header{{Name: "User-Agent", Value: "pam/3"}}},
		"a tab, and a tilde": {URL: "https://hooks.example", Headers: []webhook.Header{{Name: "!#$%&'*+-.^_`|~", Value: "a\tb~"}}},
		"largest response":   {URL: "https://hooks.example", MaxResponse: 1 << 20},
		"empty password":     {URL: "https://hooks.example", Auth: webhook.Basic("me", "")},
		"path of a template": {URL: "https://hooks.example/", Path: compile(t, template.URL, "/{{tenant}}/x?about={{subject}}")},
		"empty without data": {URL: "https://hooks.example", Path: compile(t, template.URL, "/{{tenant}}/.{{id}}")},
		"text of a template": {URL: "https://hooks.example", Path: compile(t, template.URL, `/é"{}/?q=é"`)},
	} {
		_, err := webhook.New(c)
		assert.NoError(t, err, name)
	}
}

func TestNothingPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	config := webhook.Config{
		URL:     "https://hooks.example:8443/T0P-S3CRET?sig=T0P-S3CRET",
		Headers: []webhook.Header{{Name: "X-Key", Value: "T0P-S3CRET"}},
		Auth:    webhook.Token("Bearer T0P-S3CRET"),
		Body:    compile(t, template.JSON, `"T0P-S3CRET"`),
	}
	config.Headers = append(config.Headers, webhook.Header{Name: "X-Key-2", Template: compile(t, template.Header, "T0P-S3CRET")})
	hook, err := webhook.New(config)
	require.NoError(t, err)
	type holder struct{ inner any }
	for name, v := range map[string]any{
		"config": config, "pointer": &config, "header": config.Headers[0], "headers": config.Headers, "auth": config.Auth,
		"basic": webhook.Basic("me", "T0P-S3CRET"), "channel": hook, "held": holder{hook}, "bad": webhook.Config{URL: "T0P-S3CRET"},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			printed := fmt.Sprintf(verb, v)
			assert.NotContains(t, printed, "T0P-S3CRET", "%s %s", name, verb)
			assert.NotContains(t, printed, fmt.Sprintf("%x", "T0P-S3CRET"), "%s %s", name, verb)
			assert.NotContains(t, printed, strings.Trim(fmt.Sprintf("%d", []byte("T0P-S3CRET")), "[]"), "%s %s", name, verb)
		}
	}
	assert.Equal(t, "webhook.Config(https://hooks.example:8443)", fmt.Sprint(config))
	assert.Equal(t, "webhook.Channel(POST https://hooks.example:8443)", fmt.Sprint(hook))

	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("made", "config", config, "channel", hook, "auth", config.Auth)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("made", "config", config, "channel", hook, "auth", config.Auth)
	assert.NotContains(t, logged.String(), "T0P-S3CRET")
}

func FuzzConfig(f *testing.F) {
	f.Add("https://hooks.example/a?b=c", "X-Team", "pam", "Bearer abcdefgh")
	f.Add("http://[::1]:80/%41", "x-\n", "\r\n", "")
	f.Add("http://a:b@c#d", "Host", "é", "\t")
	f.Fuzz(func(t *testing.T, rawURL, name, value, token string) {
		c := webhook.Config{URL: rawURL, Headers: []webhook.Header{{Name: name, Value: value}}, Auth: webhook.Token(token)}
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
