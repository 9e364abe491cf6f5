package webhook_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// unsent asserts that err is permanent, of the given kind and without "T0P-S3CRET", and that nothing was sent.
func unsent(t *testing.T, kind webhook.Kind, requests <-chan received, receipt channel.Receipt, err error) {
	t.Helper()
	require.Equal(t, kind, failure(t, err).Kind)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
	assert.NotContains(t, err.Error(), "T0P-S3CRET")
	assert.NotContains(t, err.Error(), "\n")
	shown(t, receipt)
	assert.Empty(t, requests)
}

// shown asserts that a receipt holds a request that was not sent, as far as it was made, and no response.
func shown(t *testing.T, receipt channel.Receipt) {
	t.Helper()
	require.NotNil(t, receipt.Request)
	assert.Regexp(t, "^(POST|PUT|PATCH|DELETE) https?://", receipt.Request.Start)
	assert.NotEmpty(t, receipt.Request.Header.Get("Content-Type"))
	assert.NotEmpty(t, receipt.Request.Header.Get("Webhook-Id"))
	receipt.Request, receipt.Duration = nil, 0
	assert.Zero(t, receipt)
}

func TestBodyTemplate(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	macros, err := template.Compile(`{"text": "%%Who%% (%%Id%%)"}`, template.Options{
		Syntax: template.Macros, Macros: map[string]string{"Who": "data.requester.name", "Id": "id"},
	})
	require.NoError(t, err)
	d := justified(t, `Dana "D" Ö`)
	for body, tpl := range map[string]*template.Template{
		`{"text": "Dana \"D\" Ö (` + d.Event.ID() + `)"}`:    macros,
		`{"text":"Dana \"D\" Ö","type":"request.approved" }`: compile(t, template.JSON, `{"text":"{{data.requester.name}}","type":{{event_type}} }`),
		`{"fixed": true}`: compile(t, template.JSON, `{"fixed": true}`),
	} {
		receipt, err := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(tpl)}).Send(t.Context(), d)
		require.NoError(t, err)
		got := <-requests
		assert.Equal(t, body, got.body)
		assert.Equal(t, int64(len(body)), got.length)
		assert.Equal(t, "application/json", got.header.Get("Content-Type"))
		assert.Equal(t, d.ID(), got.header.Get("Webhook-Id"))
		assert.Equal(t, body, string(receipt.Request.Body))
	}
}

// Whatever stands in an event, the body has the shape it has with harmless data, and texts arrive as they were (S64).
func TestS64_BodyKeepsItsShape(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(compile(t, template.JSON, `{
		"text": "<{{data.justification}}> by {{{data.requester.name}}}\n{{upper data.justification}}",
		"raw": {{data.justification}}, "object": {{json data.requester}}, "embedded": "{{data.requester}}",
		"groups": [{{#each data.access_groups}}{"{{integration.type}}": "{{@root.data.justification}}"}{{#unless @last}},{{/unless}}{{/each}}]
	}`))})
	send := func(text string) (body map[string]any) {
		d := justified(t, text)
		_, err := hook.Send(t.Context(), d)
		require.NoError(t, err, "%q", text)
		require.NoError(t, json.Unmarshal([]byte((<-requests).body), &body), "%q", text)
		data, _ := d.Event.Decoded()["data"].(map[string]any)
		assert.Equal(t, data["justification"], body["raw"])
		return body
	}
	benign := shape(send("benign"))
	texts := hostile()
	random := rand.New(rand.NewPCG(20, 64))
	for range 300 {
		var text strings.Builder
		for range random.IntN(12) {
			text.WriteString([]string{`"`, `\`, "\n", "\r", "{", "}", "[", "]", ",", ":", "u0022", "{{", "}}", "%%", "\x00", "\u2028", "é", "\xff", "a"}[random.IntN(19)])
		}
		texts = append(texts, text.String())
	}
	for _, text := range texts {
		require.Equal(t, benign, shape(send(text)), "%q", text)
	}
}

// shape is v with the names of types in the place of scalars.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = shape(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = shape(e)
		}
		return out
	}
	return reflect.TypeOf(v).Name()
}

func TestS24_S64_RenderFailureIsPermanent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	own := errors.New("of the helper: T0P-S3CRET")
	options := func(mode template.Mode, l template.Limits) template.Options {
		return template.Options{Mode: mode, Limits: l, Helpers: map[string]template.Helper{
			"fail":  {Min: 1, Max: 1, Call: func([]any) (any, error) { return nil, own }},
			"panic": {Min: 1, Max: 1, Call: func(a []any) (any, error) { panic(a[0]) }},
		}}
	}
	long := strings.Repeat("{{data.justification}}", 20)
	loop := `[{{#each data.access_groups}}{{#each @root.data.access_groups}}1,{{/each}}{{/each}}0]`
	for name, tc := range map[string]struct {
		field, source string
		limits        template.Limits
		says          string
		kind          template.Kind
	}{
		"output limit":        {"Body", `"` + long + `"`, template.Limits{Output: 64}, "Body: render: template 1:68: the output is longer than 64 bytes", template.KindSize},
		"step limit":          {"Body", loop, template.Limits{Steps: 4}, "Body: render: template 1:", template.KindSteps},
		"not JSON":            {"Body", "[\n{{#each data.access_groups}}1,{{/each}}]", template.Limits{}, "Body: not JSON: template 2:", template.KindOutput},
		"helper in the body":  {"Body", `"{{fail data.justification}}"`, template.Limits{}, "Body: render: template 1:", template.KindFailed},
		"panic in the body":   {"Body", `"{{panic data.justification}}"`, template.Limits{}, "Body: render: template 1:", template.KindPanic},
		"helper in the path":  {"Path", `/{{fail data.justification}}`, template.Limits{}, "Path: render: template 1:", template.KindFailed},
		"output of the path":  {"Path", "/" + long, template.Limits{Output: 64}, "Path: render: template 1:", template.KindSize},
		"helper in a header":  {"Header", "\n{{fail data.justification}}", template.Limits{}, "Headers[1].Template: render: template 2:", template.KindFailed},
		"output of the value": {"Header", long, template.Limits{Output: 64}, "Headers[1].Template: render: template 1:", template.KindSize},
	} {
		t.Run(name, func(t *testing.T) {
			c := webhook.Config{URL: target, Headers: []webhook.Header{{Name: "X-Fixed", Value: "1"}}}
			mode := map[string]template.Mode{"Body": template.JSON, "Path": template.URL, "Header": template.Header}[tc.field]
			tpl, err := template.Compile(tc.source, options(mode, tc.limits))
			require.NoError(t, err)
			switch tc.field {
			case "Body":
				c.Body = webhook.TemplateBody(tpl)
			case "Path":
				c.Path = tpl
			case "Header":
				c.Headers = append(c.Headers, webhook.Header{Name: "X-Made", Template: tpl})
			}
			receipt, err := newChannel(t, c).Send(t.Context(), justified(t, "T0P-S3CRET T0P-S3CRET"))
			unsent(t, webhook.KindRender, requests, receipt, err)
			assert.ErrorContains(t, err, "POST "+target+": the request cannot be made from the event: "+tc.says)
			var inner *template.RenderError
			var invalid *template.JSONError
			switch {
			case errors.As(err, &inner):
				assert.Equal(t, tc.kind, inner.Kind)
				assert.Equal(t, tc.kind == template.KindFailed, errors.Is(err, own))
			case errors.As(err, &invalid):
				assert.Equal(t, tc.kind, invalid.Kind)
			default:
				assert.Fail(t, "the template's error cannot be reached")
			}
		})
	}
}

func TestRenderHonoursTheContext(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(compile(t, template.JSON, `"{{id}}"`))})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for kind, ctx := range map[webhook.Kind]context.Context{netguard.KindCanceled: canceled, webhook.KindRenderTimeout: late} {
		receipt, err := hook.Send(ctx, sample())
		assert.Equal(t, kind, failure(t, err).Kind)
		require.ErrorIs(t, err, ctx.Err())
		assert.Equal(t, retry.VerdictPostponed, retry.Classify(ctx, err).Verdict)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
		shown(t, receipt)
	}
	assert.Empty(t, requests)
}

func TestS34_BodyLimit(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	d := justified(t, strings.Repeat("T0P-S3CRET", 100))
	body := webhook.TemplateBody(compile(t, template.JSON, `{"text":"{{data.justification}}"}`))
	large, err := template.Compile(strings.Repeat(" ", 1<<10)+`"`+strings.Repeat("{{data.justification}}", 1200)+`"`,
		template.Options{Limits: template.Limits{Output: 8 << 20}})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		body  webhook.Body
		limit int
		sent  bool
	}{
		"plain, at the limit":       {webhook.Body{}, len(d.Event.JSON()), true},
		"plain, over the limit":     {webhook.Body{}, len(d.Event.JSON()) - 1, true},
		"plain, its own size":       {webhook.Body{}, 200, false},
		"template, at the limit":    {body, 1000 + len(`{"text":""}`), true},
		"template, over the limit":  {body, 999 + len(`{"text":""}`), true},
		"template, over 1 MiB":      {webhook.TemplateBody(large), 0, true},
		"template, its own text":    {webhook.TemplateBody(large), 1 << 10, false},
		"form, over the limit":      {webhook.FormBody(webhook.FormOptions{Variables: map[string]string{"why": "data.justification"}}), 500, true},
		"form, whatever its texts":  {webhook.FormBody(webhook.FormOptions{}), 20, false},
		"template, over its own":    {webhook.TemplateBody(large), 8 << 20, true},
		"plain, the event is small": {webhook.Body{}, 0, true},
	} {
		receipt, err := newChannel(t, webhook.Config{URL: target, Body: tc.body, MaxBody: tc.limit}).Send(t.Context(), d)
		if tc.sent {
			require.NoError(t, err, name)
			got := <-requests
			over := strings.Contains(name, "over the limit") || strings.Contains(name, "over 1 MiB")
			assert.Equal(t, over, strings.Contains(got.body, "…") || strings.Contains(got.body, "%E2%80%A6"), "%s: cut, and visibly", name)
			assert.LessOrEqual(t, len(got.body), cmp.Or(tc.limit, 1<<20), name)
			continue
		}
		assert.LessOrEqual(t, len(receipt.Request.Body), 64<<10, "as much as a receipt keeps")
		assert.True(t, receipt.Request.Truncated)
		unsent(t, webhook.KindTooLarge, requests, receipt, err)
	}
}

// One template serves any number of goroutines and channels, and no receipt shows another attempt's request.
func TestTemplatesAreShared(t *testing.T) {
	t.Parallel()
	var bodies sync.Map
	target := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		bodies.Store(r.Header.Get("Webhook-Id"), r.RequestURI+" "+r.Header.Get("X-Why")+" "+body.String())
	})
	c := webhook.Config{
		URL:     target,
		Path:    compile(t, template.URL, "/{{data.justification}}"),
		Body:    webhook.TemplateBody(compile(t, template.JSON, `{"why":"{{data.justification}}","id":"{{id}}"}`)),
		Headers: []webhook.Header{{Name: "X-Why", Template: compile(t, template.Header, "because {{data.justification}}")}},
	}
	hooks := []*webhook.Channel{newChannel(t, c), newChannel(t, c)}
	deliveries, receipts := make([]channel.Delivery, 64), make([]channel.Receipt, 64)
	var wg sync.WaitGroup
	for i := range deliveries {
		deliveries[i] = justified(t, "reason-"+strconv.Itoa(i))
		wg.Go(func() {
			for range 20 {
				var err error
				receipts[i], err = hooks[i%2].Send(t.Context(), deliveries[i])
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	for i, d := range deliveries {
		why := "reason-" + strconv.Itoa(i)
		body := `{"why":"` + why + `","id":"` + d.Event.ID() + `"}`
		got, _ := bodies.Load(d.ID())
		assert.Equal(t, "/"+why+" because "+why+" "+body, got)
		assert.Equal(t, body, string(receipts[i].Request.Body))
		assert.Equal(t, "because "+why, receipts[i].Request.Header.Get("X-Why"))
	}
}

// An event is decoded once: every template of every channel is given the very same tree.
func TestDecodedFormIsShared(t *testing.T) {
	t.Parallel()
	target, _ := record(t)
	var mu sync.Mutex
	var roots []uintptr
	probe := func(mode template.Mode, source string) *template.Template {
		tpl, err := template.Compile(source, template.Options{Mode: mode, Helpers: map[string]template.Helper{
			"probe": {Min: 1, Max: 1, Call: func(a []any) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				roots = append(roots, reflect.ValueOf(a[0]).Pointer())
				return "x", nil
			}},
		}})
		require.NoError(t, err)
		return tpl
	}
	first := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(probe(template.JSON, `"{{probe @root}}"`))})
	second := newChannel(t, webhook.Config{
		URL: target, Path: probe(template.URL, "/{{probe @root}}"),
		Headers: []webhook.Header{{Name: "X-Probe", Template: probe(template.Header, "{{probe @root}}")}},
	})
	roots = nil // New tried the path
	d := justified(t, "x")
	for _, hook := range []*webhook.Channel{first, second} {
		_, err := hook.Send(t.Context(), d)
		require.NoError(t, err)
	}
	own := reflect.ValueOf(d.Event.Decoded()).Pointer()
	assert.Equal(t, []uintptr{own, own, own}, roots)
}
