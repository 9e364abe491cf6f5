package preset_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
)

// asTest returns e as a test event, with its id and its time.
func asTest(t testing.TB, e event.Event) event.Event {
	t.Helper()
	e, err := event.Parse(bytes.Replace(e.JSON(), []byte(`,"event_time"`), []byte(`,"test":true,"event_time"`), 1))
	require.NoError(t, err)
	require.True(t, e.IsTest())
	return e
}

// textAt returns the text at a path of keys and indices, joined by dots; "" = there is none.
func textAt(v any, path string) string {
	for key := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i < len(at) {
				v = at[i]
			}
		}
	}
	s, _ := v.(string)
	return s
}

// TestTestsSayTest: what a product gets about a test says so in the title, and what it gets about others does not.
func TestTestsSayTest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		for _, typ := range append(event.Catalogue(), "host.note") {
			e := made(t, typ, map[string]any{"alert_title": "Admin role"}, event.Meta{Subject: "s-1", Tenant: "acme"})
			if sampled, ok := event.Sample(typ); ok {
				e = sampled
			}
			usual, test := send(e), send(e.ForTest())
			var a, b any
			require.NoError(t, json.Unmarshal(usual.body, &a))
			require.NoError(t, json.Unmarshal(test.body, &b))
			assert.NotContains(t, string(usual.body), "TEST", typ)
			assert.NotContains(t, usual.header, "Tocsin-Test")
			require.NotEmpty(t, textAt(a, p.title), typ)
			assert.True(t, strings.HasPrefix(textAt(b, p.title), "TEST: "), "%s: %s", typ, test.body)
			assert.Equal(t, []string{"true"}, test.header["Tocsin-Test"])
			if p.name == "splunk" { // which has no facts
				assert.Equal(t, "true", textAt(b, "fields.test"))
				assert.Contains(t, string(test.body), `"event_type":"`+string(typ)+`","event_time":`)
				continue
			}
			_, meaning, _ := strings.Cut(notice.TestLine, ": ")
			assert.Contains(t, string(test.body), meaning, typ)
		}
	})
}

// TestTestsTouchNothing: no test updates, acknowledges or closes what there is about a subject, and none wakes anybody
// up.
func TestTestsTouchNothing(t *testing.T) {
	t.Parallel()
	correlation := map[string]string{
		"pagerduty": "dedup_key", "servicenow": "correlation_id", "datadog": "aggregation_key", "jira": "properties.0.value.subject",
	}
	urgency := map[string]struct{ path, lowest string }{
		"pagerduty": {"payload.severity", "info"}, "servicenow": {"urgency", "3"}, "datadog": {"priority", "low"}, "splunk": {"fields.severity", "info"},
	}
	each(t, func(t *testing.T, p product) {
		send := sender(t, p)
		seen := make(map[string]bool)
		for _, typ := range event.Catalogue() {
			e := sample(t, typ)
			for i, sent := range []event.Event{e, e.ForTest(), e.ForTest()} {
				var body any
				require.NoError(t, json.Unmarshal(send(sent).body, &body))
				if path, ok := correlation[p.name]; ok && i == 0 {
					require.NotEmpty(t, textAt(body, path), typ)
					seen[textAt(body, path)] = true
				} else if ok {
					id := textAt(body, path)
					assert.False(t, id != "" && seen[id], "%s: %s", typ, id)
					seen[id] = true
				}
				if lowest, ok := urgency[p.name]; ok && i > 0 {
					assert.Equal(t, lowest.lowest, textAt(body, lowest.path), typ)
				}
				if p.name == "pagerduty" && i > 0 {
					assert.Equal(t, "trigger", textAt(body, "event_action"), typ)
				}
			}
		}
	})
}
