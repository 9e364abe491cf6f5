package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

func TestNewRefusesTemplates(t *testing.T) {
	t.Parallel()
	const origin, good = "https://hooks.test", "https://hooks.test/T0P-S3CRET"
	header := func(h ...webhook.Header) webhook.Config { return webhook.Config{URL: good, Headers: h} }
	path := func(rest, source string) webhook.Config {
		return webhook.Config{URL: origin + rest, Path: compile(t, template.URL, source)}
	}
	for name, tc := range map[string]struct {
		config      webhook.Config
		field, says string
	}{
		"body for HTML":         {webhook.Config{URL: good, Body: webhook.TemplateBody(compile(t, template.HTML, "T0P-S3CRET"))}, "Body", "is not a template for JSON"},
		"body for a URL":        {webhook.Config{URL: good, Body: webhook.TemplateBody(compile(t, template.URL, "/T0P-S3CRET"))}, "Body", "is not a template for JSON"},
		"negative body":         {webhook.Config{URL: good, MaxBody: -1}, "MaxBody", "is negative"},
		"path of plain text":    {webhook.Config{URL: origin, Path: compile(t, template.Text, "/T0P-S3CRET")}, "Path", "is not a template for URLs"},
		"path beside a path":    {path("/T0P-S3CRET", "/{{id}}"), "URL", "has a path or query beside the template that makes them"},
		"path beside a query":   {path("?T0P-S3CRET", "/{{id}}"), "URL", "has a path or query beside the template that makes them"},
		"path beside a ?":       {path("/?", "/{{id}}"), "URL", "has a path or query beside the template that makes them"},
		"empty path":            {path("", ""), "Path", "does not begin with exactly one slash"},
		"path without a slash":  {path("", "T0P-S3CRET"), "Path", "does not begin with exactly one slash"},
		"path beside a bad URL": {path(" T0P-S3CRET", "/{{id}}"), "URL", "has a space"},
		"path that is a host":   {path("", ".evil.example/{{! T0P-S3CRET }}"), "Path", "does not begin with exactly one slash"},
		"path that is a user":   {path("", "@evil.example/"), "Path", "does not begin with exactly one slash"},
		"path that is a port":   {path("", ":8080/T0P-S3CRET"), "Path", "does not begin with exactly one slash"},
		"path with an origin":   {path("", "https://evil.example/{{id}}"), "Path", "does not begin with exactly one slash"},
		"query only":            {path("", "?x={{id}}"), "Path", "does not begin with exactly one slash"},
		"path with a fragment":  {path("", "/T0P-S3CRET/{{id}}#"), "Path", "fragment"},
		"line feed":             {path("", "/T0P-S3CRET/{{id}}\n"), "Path", "has a control or invisible character"},
		"backslash":             {path("", `/T0P-S3CRET\x{{id}}`), "Path", "backslash"},
		"bad escape":            {path("", "/T0P-S3CRET%zz/{{id}}"), "Path", "percent sign that is not followed"},
		"long path":             {path("", "/T0P-S3CRET"+strings.Repeat("x", 8<<10)), "Path", "8 KiB"},
		"header for a URL":      {header(webhook.Header{Name: "X", Template: compile(t, template.URL, "/T0P-S3CRET")}), "Headers[0].Template", "is not a template for headers"},
		"header with a value":   {header(webhook.Header{Name: "X", Value: "T0P-S3CRET", Template: compile(t, template.Header, "{{id}}")}), "Headers[0].Value", "is set beside a template"},
		"header with a secret":  {header(webhook.Header{Name: "X", Secret: secret.Literal("T0P-S3CRET"), Template: compile(t, template.Header, "{{id}}")}), "Headers[0].Secret", "is set beside a template"},
		"reserved header":       {header(webhook.Header{Name: "Host", Template: compile(t, template.Header, "{{id}}")}), "Headers[0].Name", "is a header that is set by this channel"},
		"same name twice":       {header(webhook.Header{Name: "X-Team", Template: compile(t, template.Header, "{{id}}")}, webhook.Header{Name: "x-team", Value: "x"}), "Headers[1].Name", "repeats an earlier header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := webhook.New(tc.config)
			var wrong *channel.ConfigError
			require.ErrorAs(t, err, &wrong)
			assert.Equal(t, tc.field, wrong.Path)
			assert.Contains(t, wrong.Problem, tc.says)
			assert.NotEmpty(t, wrong.Remedy)
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, tc.config), "T0P-S3CRET")
		})
	}
}

func TestNewAcceptsTemplates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]webhook.Config{
		"path of a template": {URL: "https://hooks.test/", Path: compile(t, template.URL, "/{{tenant}}/x?about={{subject}}")},
		"empty without data": {URL: "https://hooks.test", Path: compile(t, template.URL, "/{{tenant}}/.{{id}}")},
		"text of a template": {URL: "https://hooks.test", Path: compile(t, template.URL, `/é"{}/?q=é"`)},
		"body":               {URL: "https://hooks.test", Body: webhook.TemplateBody(compile(t, template.JSON, `{"id": "{{id}}"}`))},
	} {
		hook, err := webhook.New(c)
		require.NoError(t, err, name)
		require.NoError(t, hook.Close())
	}
}
