package oracletest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/aymerick/raymond"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/template"
)

// request is the example event as text/template and json.Marshal like it best: typed.
type request struct {
	EventType string      `json:"event_type"`
	EventTime json.Number `json:"event_time"`
	Data      struct {
		FriendlyID    string      `json:"friendly_id"`
		Requester     person      `json:"requester"`
		Justification string      `json:"justification"`
		Revocation    json.Number `json:"revocation_date"`
		Flow          named       `json:"access_flow"`
		Groups        []struct {
			Integration named `json:"integration"`
			Units       []struct {
				Resource   named `json:"resource"`
				Permission named `json:"permission"`
			} `json:"access_units"`
		} `json:"access_groups"`
		Relation  string `json:"approvals_logical_relation"`
		Approvals []struct {
			Name     string `json:"name"`
			Status   string `json:"status"`
			Approver person `json:"approver"`
		} `json:"approvals"`
	} `json:"data"`
}

type named struct {
	Name string `json:"name"`
}

type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

const textBody = `{
  "event_type": "{{.EventType}}",
  "event_time": {{.EventTime}},
  "friendly_id": "{{.Data.FriendlyID}}",
  "requester": {"name": "{{.Data.Requester.Name}}", "email": "{{.Data.Requester.Email}}"},
  "text": "{{.Data.Justification}}",
  "revoked": {{.Data.Revocation}},
  "flow": "{{.Data.Flow.Name}}",
  "groups": [{{range $i, $g := .Data.Groups}}{{if $i}},{{end}}{"name": "{{.Integration.Name}}", "units": [{{range $j, $u := .Units}}{{if $j}},{{end}}{"resource": "{{.Resource.Name}}", "permission": "{{.Permission.Name}}"}{{end}}]}{{end}}],
  "relation": "{{.Data.Relation}}",
  "approvals": [{{range $i, $a := .Data.Approvals}}{{if $i}},{{end}}{"name": "{{.Name}}", "status": "{{.Status}}", "approver": "{{.Approver.Email}}"}{{end}}]
}
`

func read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile("../testdata/" + name)
	require.NoError(tb, err)
	return string(b)
}

// TestBodiesAgree makes sure that the benchmarks below measure the same work.
func TestBodiesAgree(t *testing.T) {
	source, event := read(t, "access-request.hbs"), read(t, "access-request.json")
	var typed request
	require.NoError(t, json.Unmarshal([]byte(event), &typed))
	var data any
	d := json.NewDecoder(strings.NewReader(event))
	d.UseNumber()
	require.NoError(t, d.Decode(&data))

	ours := compile(t, source, template.JSON)
	out, err := ours.Render(context.Background(), nil, data)
	require.NoError(t, err)
	theirs, err := raymond.Render(source, data)
	require.NoError(t, err)
	require.Equal(t, theirs, string(out))
	var text bytes.Buffer
	require.NoError(t, texttemplate.Must(texttemplate.New("").Parse(textBody)).Execute(&text, typed))
	require.Equal(t, theirs, text.String())
}

func compile(tb testing.TB, source string, mode template.Mode) *template.Template {
	tb.Helper()
	tpl, err := template.Compile(source, template.Options{Mode: mode})
	require.NoError(tb, err)
	return tpl
}

// BenchmarkAccessRequest renders one body with four engines in one run; only the ratios count.
func BenchmarkAccessRequest(b *testing.B) {
	source, event := read(b, "access-request.hbs"), read(b, "access-request.json")
	var typed request
	require.NoError(b, json.Unmarshal([]byte(event), &typed))
	data, err := template.Normalise(json.RawMessage(event))
	require.NoError(b, err)
	ctx := context.Background()
	var dst []byte

	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	plain, checked := compile(b, source, template.Text), compile(b, source, template.JSON)
	run("tocsin/unchecked", func() { dst, _ = plain.Render(ctx, dst[:0], data) })
	run("tocsin/json", func() { dst, _ = checked.Render(ctx, dst[:0], data) })
	parsed := raymond.MustParse(source)
	run("raymond", func() { _, _ = parsed.Exec(data) })
	text := texttemplate.Must(texttemplate.New("").Parse(textBody))
	var buffer bytes.Buffer
	run("text/template", func() { buffer.Reset(); _ = text.Execute(&buffer, typed) })
	run("json.Marshal", func() { _, _ = json.Marshal(typed) })
	run("json.Valid", func() { json.Valid(dst) })
	run("tocsin/compile", func() { _, _ = template.Compile(source, template.Options{}) })
	run("raymond/parse", func() { _, _ = raymond.Parse(source) })
	run("tocsin/normalise", func() { _, _ = template.Normalise(json.RawMessage(event)) })
}

// BenchmarkListLength shows that the time of a render is proportional to the length of a list.
func BenchmarkListLength(b *testing.B) {
	const source = `[{{#each items}}"{{this}}"{{#unless @last}},{{/unless}}{{/each}}]`
	tpl := compile(b, source, template.JSON)
	var dst []byte
	for _, n := range []int{10_000, 20_000, 40_000} {
		items := make([]any, n)
		for i := range items {
			items[i] = "item " + strconv.Itoa(i)
		}
		data := map[string]any{"items": items}
		b.Run("tocsin/"+strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				var err error
				if dst, err = tpl.Render(context.Background(), dst[:0], data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
