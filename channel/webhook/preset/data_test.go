package preset_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// anyValue returns data of any shape, made of texts that some product gives a meaning to or has a limit for.
func anyValue(r *rand.Rand, depth int) any {
	texts := []string{
		"", " ", "x", "\n", "\x00", "\ufffd", "=", "@all", "%%%", "[code]", "](https://evil.example)", "👩‍👧", "Tomás", "\u202e", "\u200d",
		"<b>", "&", `"`, `\`, "https://wiki/x", "https://a.example/?x=1|2", "1696263265.851898000",
	}
	switch n := r.IntN(8); {
	case n < 4 || depth > 3:
		return strings.Repeat(texts[r.IntN(len(texts))]+texts[r.IntN(len(texts))], 1+r.IntN(1<<r.IntN(13)))
	case n == 4:
		list := make([]any, r.IntN(7))
		for i := range list {
			list[i] = anyValue(r, depth+1)
		}
		return list
	case n == 5:
		object := make(map[string]any)
		for range r.IntN(7) {
			object[fmt.Sprint(texts[r.IntN(len(texts))], r.IntN(99))] = anyValue(r, depth+1)
		}
		return object
	case n == 6:
		return json.Number([]string{"0.123456789", "1696263265.851898000", "-1e400", "1e-400", "9999999999.000000000"}[r.IntN(5)])
	default:
		return []any{nil, true, false}[r.IntN(3)]
	}
}

// anyEvent returns an event of any type whose known fields hold any data.
func anyEvent(t *testing.T, r *rand.Rand) event.Event {
	t.Helper()
	data := map[string]any{"url": anyValue(r, 3), "link": anyValue(r, 3)}
	types := append(event.Catalogue(), "host.note")
	typ := types[r.IntN(len(types))]
	if e, ok := event.Sample(typ); ok {
		require.NoError(t, json.Unmarshal(e.Data(), &data))
	}
	for name := range data {
		switch r.IntN(3) {
		case 0:
			data[name] = anyValue(r, 0)
		case 1:
			if _, isText := data[name].(string); isText {
				data[name] = anyValue(r, 4)
			}
		}
	}
	data[fmt.Sprint("field", r.IntN(9))] = anyValue(r, 0)
	m := event.Meta{Time: time.Unix(r.Int64N(253402300799+62135596800)-62135596800, r.Int64N(1e9))}
	if r.IntN(2) == 0 {
		m.Tenant, m.Subject, m.Source = strings.Repeat(`"é/`, r.IntN(85)), strings.Repeat("👩~", r.IntN(127)), strings.Repeat("<>", r.IntN(127))
		m.Attributes = map[string]string{"a": strings.Repeat("\x01", r.IntN(2000))}
	}
	b, err := json.Marshal(data)
	require.NoError(t, err)
	e := made(t, typ, json.RawMessage(b), m)
	if r.IntN(8) == 0 {
		e = e.ForTest()
	}
	return e
}

// TestEveryEventIsDelivered: no event is refused for what somebody wrote into it.
func TestEveryEventIsDelivered(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		r := rand.New(rand.NewPCG(7, uint64(len(p.name))))
		send := sender(t, p)
		for range 60 {
			e := anyEvent(t, r)
			body := send(e).body
			require.True(t, json.Valid(body))
			if limit := p.config().MaxBody; limit > 0 {
				require.LessOrEqual(t, len(body), limit)
			}
			if e.IsTest() {
				assert.Contains(t, string(body), "TEST: ")
			}
		}
	})
}

// Discord refuses a message whose embed links to a host of one label.
func TestDiscordLinksToNamesWithADot(t *testing.T) {
	t.Parallel()
	var p product
	for _, one := range products() {
		if one.name == "discord" {
			p = one
		}
	}
	send := sender(t, p)
	for link, linked := range map[string]bool{
		"https://access.example.com/x": true, "https://10.0.0.7:8443/x": true,
		"https://wiki/AR-1": false, "http://localhost:8080/x": false, "https://wiki./x": false, "https://[::1]/x": false,
	} {
		body := string(send(made(t, event.TypeRequestPending, event.AccessRequest{ID: "r", URL: link}, event.Meta{})).body)
		assert.Equal(t, linked, strings.Contains(body, `"url":"`+link+`"`), body)
		if !linked {
			assert.Contains(t, body, `"name":"Open request"`, "people can still copy it")
		}
	}
}
