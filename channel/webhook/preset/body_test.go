package preset_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
)

// TestBodiesOfEveryEventType sends all samples and checks them against what the vendors document.
func TestBodiesOfEveryEventType(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		for _, typ := range event.Catalogue() {
			e := sample(t, typ)
			p.check(t, e, send(e).body)
			test := asTest(t, e)
			p.check(t, test, send(test).body)
		}
	})
}

// TestBodiesAreGolden compares some bodies with files, indented for reading.
func TestBodiesAreGolden(t *testing.T) {
	t.Parallel()
	own := event.Must(payload{"vault.key_rotated", map[string]any{
		"key": "backup-signing", "next_rotation": json.Number("1696263265.851898000"), "url": "https://vault.example.com/keys/7",
	}}, event.Meta{ID: "evt-1", Subject: "key-7", Tenant: "acme", Source: "https://vault.example.com", Time: time.Unix(1696263265, 0)})
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		for _, e := range []event.Event{
			sample(t, event.TypeRequestPending), sample(t, event.TypeRequestBreakGlass), sample(t, event.TypeGrantExpired),
			sample(t, event.TypeAlertAcknowledged), sample(t, event.TypeChannelFailing), own,
			asTest(t, sample(t, event.TypeRequestBreakGlass)),
		} {
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, send(e).body, "", "  "))
			got.WriteByte('\n')
			name := string(e.Type())
			if e.IsTest() {
				name += ".test"
			}
			file := filepath.Join("testdata", p.name, name+".json")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String(), file)
		}
	})
}

// texts are what anybody might write where an event has text.
func texts() []string {
	return []string{
		`"`, `\`, `x\`, `","routing_key":"evil","x":"`, `"}],"to":[{"email":"evil@evil.example"}],"x":[{"y":"`, "</td><script>alert(1)</script><a href=\"https://evil.example\">",
		"<!channel> <@1234> @everyone @here @all <at>Everyone</at> &lt;", "[Approve](https://evil.example/approve) ![x](https://evil.example/y.png)",
		"**b** __u__ ~~s~~ ||spoiler|| `code` ```\nblock\n``` > quote\n# heading\n- item\n1. one", "[code]<script>alert(1)</script>[/code] [CODE] [ /code] [cOdE",
		"%%% \n[x](https://evil.example)\n %%%", "{{DATE(2017-02-14T06:08:39Z, SHORT)}} ${x} {{x}} %%User%% {code:java}", "=?utf-8?B?ZXZpbA==?= \r\nBcc: evil@evil.example\r\n\r\nhi",
		"a\x00b\x1b[31m\x7f\u0085\u2028\u202eevil\u202c\u200b", strings.Repeat("long ", 160), strings.Repeat("😀", 200), strings.Repeat("👩‍👩‍👧‍👦", 30),
		strings.Repeat("שלום עולם ", 40), strings.Repeat("\\", 800), strings.Repeat("*_~`|<>@", 100), strings.Repeat("a\n", 400), strings.Repeat("@a ", 250), strings.Repeat("[code]", 130),
		strings.Repeat("\"", 800), strings.Repeat("&<>'\"", 160), "e" + strings.Repeat("\u0301", 400), "null", "1e999",
	}
}

// filled returns a sample with text wherever it has text, but not in the link: that is what tells whether the text made
// one.
func filled(t *testing.T, typ event.Type, text string, m event.Meta) event.Event {
	t.Helper()
	var data any
	dec := json.NewDecoder(bytes.NewReader(sample(t, typ).Data()))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&data))
	fill(data, text)
	m.Time = time.Unix(1700000000, 0)
	if m.ID == "" {
		m.ID = "evt-1"
	}
	e := made(t, typ, data, m)
	return e
}

func fill(v any, text string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			switch _, isText := value.(string); {
			case key == "url" || key == "source_url" || key == "status" || key == "priority" || key == "decision" || key == "approvals_logical_relation":
			case isText:
				v[key] = text
			default:
				fill(value, text)
			}
		}
	case []any:
		for _, value := range v {
			fill(value, text)
		}
	}
}

// wordy are types of the catalogue, one for each kind of data.
func wordy() []event.Type {
	return []event.Type{
		event.TypeRequestPending, event.TypeGrantRevoked, event.TypeSessionMemberJoined, event.TypeApplicationAccessDecided,
		event.TypeAlertOpened, event.TypeDeliveryDead,
	}
}

// TestS63_HostileTextStaysText: whatever events say, bodies keep the vendors' limits and the preset's structure.
func TestS63_HostileTextStaysText(t *testing.T) {
	t.Parallel()
	type family struct {
		plain   event.Event
		hostile []event.Event
	}
	var families []family
	for _, typ := range wordy() {
		f := family{plain: filled(t, typ, "plain", event.Meta{Subject: "s-1"})}
		for _, text := range texts() {
			f.hostile = append(f.hostile, filled(t, typ, text, event.Meta{Subject: "s-1"}))
		}
		families = append(families, f)
	}
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		for _, f := range families {
			plain := send(f.plain).body
			for i, e := range f.hostile {
				body := send(e).body
				p.check(t, e, body)
				sameStructure(t, p, plain, body)
				if t.Failed() {
					t.Fatalf("%s with %q", e.Type(), texts()[i])
				}
			}
		}
	})
}

// sameStructure: hostile has the keys of plain, and what the preset fixes has the same values.
func sameStructure(t *testing.T, p product, plain, hostile []byte) {
	t.Helper()
	var a, b any
	require.NoError(t, json.Unmarshal(plain, &a))
	require.NoError(t, json.Unmarshal(hostile, &b))
	if p.name != "splunk" { // which carries the event itself
		assert.Equal(t, paths(a), paths(b))
	}
	for _, fixed := range p.fixed {
		assert.Equal(t, lookUp(a, fixed), lookUp(b, fixed), fixed)
	}
	assert.Equal(t, links(a), links(b))
}

// paths returns the keys of v and of what is in it, without the positions in lists.
func paths(v any) map[string]bool {
	all := make(map[string]bool)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		all[path] = true
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(path+"."+key, value)
			}
		case []any:
			for _, value := range v {
				walk(path+"[]", value)
			}
		}
	}
	walk("", v)
	return all
}

func lookUp(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// links returns the values of the keys that make links.
func links(v any) []any {
	var all []any
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"url", "href"} {
			if value, ok := v[key]; ok {
				all = append(all, value)
			}
		}
		for _, key := range []string{"embeds", "attachments", "content", "actions", "links", "marks", "attrs", "fields", "description"} {
			all = append(all, links(v[key])...)
		}
	case []any:
		for _, value := range v {
			all = append(all, links(value)...)
		}
	}
	return all
}

// TestWorstCaseBodiesFit: the longest texts everywhere, in all that an event may hold.
func TestWorstCaseBodiesFit(t *testing.T) {
	t.Parallel()
	longest := event.Meta{
		ID: strings.Repeat("i", 100), Subject: strings.Repeat("𝔸", 63), Tenant: strings.Repeat("𝕋", 63), Source: strings.Repeat("ß", 127),
	}
	var events []event.Event
	for _, text := range []string{strings.Repeat("𝔸", 1200), strings.Repeat("\\", 5000), strings.Repeat("\"\n", 2500), strings.Repeat("*", 5000)} {
		for _, typ := range wordy() {
			var data any
			require.NoError(t, json.Unmarshal(sample(t, typ).Data(), &data))
			data.(map[string]any)["url"] = "https://access.example.com/" + strings.Repeat("x", 2000)
			data.(map[string]any)["source_url"] = "https://access.example.com/" + strings.Repeat("x", 2000)
			for _, key := range []string{"justification", "reason", "failure", "description", "event_description", "last_error", "decision_reason"} {
				data.(map[string]any)[key] = text
			}
			for key, value := range data.(map[string]any) {
				if _, isText := value.(string); isText && !strings.Contains(key, "url") && len(text) < 1500 {
					data.(map[string]any)[key] = text
				}
			}
			e := made(t, typ, data, longest)
			events = append(events, e, asTest(t, e))
		}
		own := make(map[string]any)
		for i := range 40 {
			own[fmt.Sprintf("%s_%d", strings.Repeat("k", 70), i)] = text
		}
		if b, err := json.Marshal(own); err == nil && len(b) < event.MaxDataSize {
			e := event.Must(payload{event.Type("host." + strings.Repeat("t", 90)), own}, longest)
			events = append(events, e, asTest(t, e))
		}
	}
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		for _, e := range events {
			body := send(e).body
			p.check(t, e, body)
			if link := notice.Of(e).Link; link != "" {
				assert.Contains(t, string(body), link, "a link is never cut")
			}
			if t.Failed() {
				t.Fatal(e.Type())
			}
		}
	})
}

// TestEmptyEventsAreTold: next to no data, and no link.
func TestEmptyEventsAreTold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		for _, typ := range append(event.Catalogue(), "host.note") {
			e := made(t, typ, map[string]any{}, event.Meta{})
			p.check(t, e, send(e).body)
			e = made(t, typ, map[string]any{"access_groups": []any{}, "approvals": []any{}, "url": "javascript:alert(1)", "source_url": "https://a@b.example"}, event.Meta{})
			body := send(e).body
			p.check(t, e, body)
			if p.name != "splunk" {
				var v any
				require.NoError(t, json.Unmarshal(body, &v))
				assert.Empty(t, links(v))
			}
		}
	})
}

// TestHostileKeysStayFacts: the data of a host's own event has keys that somebody may have chosen.
func TestHostileKeysStayFacts(t *testing.T) {
	t.Parallel()
	data := json.RawMessage(`{"summary":"1","Summary":"2","status":"3","when":"4","When":"5","routing_key":"6","Summary 2":"7","":"8",
		"\"}":"9","<b>":"10","[code]":"11","@all":"12","**x**":"13","a\u0000\nb":"14","\u202e":"15","event":"16","😀":"17"}`)
	e := event.Must(payload{"host.note", data}, event.Meta{Subject: "s", Tenant: "t"})
	each(t, func(t *testing.T, p product) {
		body := sender(t, p)(e).body
		p.check(t, e, body)
		for _, value := range []string{"1", "5", "7", "17"} {
			assert.Contains(t, string(body), value)
		}
		if p.name == "pagerduty" {
			assert.Contains(t, string(body), `"Summary":"Event host.note about s.","Event":"host.note","About":"s","Summary 2":"1","Summary 3":"2"`)
		}
	})
}

// TestRetriesAreTheSame: a second attempt carries the same body, so that receivers can tell that it is one.
func TestRetriesAreTheSame(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		receiver, requests := receive(t, p.taken)
		hook := open(t, p.config(), receiver)
		d := delivery(sample(t, event.TypeGrantActive))
		_, err := hook.Send(t.Context(), d)
		require.NoError(t, err)
		first := <-requests
		d.Attempt = 2
		_, err = hook.Send(t.Context(), d)
		require.NoError(t, err)
		assert.Equal(t, string(first.body), string((<-requests).body))
	})
}
