package config_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
)

// hostileDocuments are documents of n parts that could cost more than they are long.
func hostileDocuments() map[string]func(n int) string {
	const (
		channel  = "channels:\n  - {type: webhook, name: hook, url: https://hooks.example.com/x"
		head     = channel + "}\nroutes:\n"
		template = channel + ", body: {kind: template, template: '\""
	)
	each := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(format, "<next>", fmt.Sprintf("%06d", (i+1)%n)), "<i>", fmt.Sprintf("%06d", i)))
		}
		return b.String()
	}
	repeated := func(before, part, after string) func(n int) string {
		return func(n int) string { return before + each(n, part) + after }
	}
	return map[string]func(n int) string{
		"routes":                      repeated(head, "  - {name: r<i>, channel: hook}\n", ""),
		"routes of one name":          repeated(head, "  - {name: r, channel: hook}\n", ""),
		"fallbacks that name nothing": repeated(head, "  - {name: route-with-a-long-name-<i>, channel: hook, fallback: rotue-with-a-long-name-<i>}\n", ""),
		"channels that name nothing":  repeated(head, "  - {name: r<i>, channel: hooks}\n", ""),
		"a circle of fallbacks":       repeated(head, "  - {name: r<i>, channel: hook, fallback: r<next>}\n", ""),
		"alerts":                      repeated(head, "  - {name: r<i>, channel: hook, alerts: {to: [r<next>]}}\n", ""),
		"channels":                    repeated("channels:\n", "  - {type: webhook, name: c<i>, url: https://hooks.example.com/x}\n", ""),
		"fields that are none":        repeated("", "chanels<i>: 1\n", ""),
		"events that are none":        repeated(head+"  - {name: r, channel: hook, events: [", "reqest.pending, ", "]}\n"),
		"statuses":                    repeated(channel+", retry_statuses: [", "500, ", "]}\n"),
		"header templates":            repeated(channel+", headers: [", "{name: X-<i>, template: '{{id}}'}, ", "]}\n"),
		"paths in a template":         repeated(template, "{{data.idd}}", "\"'}}\n"),
		"blocks in a template":        repeated(template, "{{#if a}}x{{/if}}", "\"'}}\n"),
		"a path in a template":        repeated(template+"{{a", ".a", "}}\"'}}\n"),
		"a path of macros":            repeated(channel+", body: {kind: macros, names: paths, template: '\"%%a", ".a", "%%\"'}}\n"),
		"blocks within blocks": func(n int) string {
			n = min(n, 60)
			return template + each(n, "{{#each a}}") + each(n, "{{/each}}") + "\"'}}\n"
		},
		"anchors":         repeated("a: [", "&a<i> x,", "]"),
		"dashes":          repeated("", "- ", "x"),
		"questions":       repeated("", "? ", ""),
		"comments":        repeated("", "# x\n", "routes: []\n"),
		"a long name":     repeated("", "s", ": 1\n"),
		"a list in JSON":  repeated(`{"x":[`, "0,", "0]}"),
		"escapes in JSON": repeated(`{"x":"`, `\u0041`, `"}`),
	}
}

// cost is how many bytes of memory it took to load src, whatever came of it.
func cost(src string) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set, _ := config.Load("", []byte(src), config.Options{})
	runtime.ReadMemStats(&after)
	if set != nil {
		_ = set.Close()
	}
	return after.TotalAlloc - before.TotalAlloc
}

// Loading takes memory in proportion to what is loaded: twice the document is twice the memory, never four times, and
// no document costs more than 1.5 KiB for each of its bytes.
func TestLoadingCostsInProportionToTheDocument(t *testing.T) { //nolint:paralleltest // counts what the whole process allocates
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what templates are rendered with")
	}
	const size = 96 << 10
	for name, document := range hostileDocuments() {
		n := size / (len(document(1000)) / 1000)
		half, whole := cost(document(n/2)), cost(document(n))
		assert.Less(t, float64(whole)/float64(half), 2.8, "%s: %d bytes for %d, %d for half of it", name, whole, len(document(n)), half)
		assert.Less(t, whole, uint64(1536*len(document(n))), "%s: %d bytes for %d", name, whole, len(document(n)))
	}
}

// Many documents share what describes their fields: one with a channel and a route keeps what is in it, and little
// else.
func TestDocumentsShareTheTablesOfTheirFields(t *testing.T) { //nolint:paralleltest // counts what the whole process keeps
	const n = 200
	withHeader := []byte(hook("headers: [{name: X-Source, value: pam}]\nauth: {kind: bearer, token: not-a-real-token}", "retry: {count: 3}"))
	for name, types := range map[string]*config.Registry{
		"built-in":      nil,
		"of the host's": config.NewRegistry(map[string]config.Type{"topic": topicType(new([]*topic))}),
	} {
		sets := make([]*config.Set, n+1)
		var before int64
		for i := range sets {
			set, err := config.Load("a.yaml", withHeader, config.Options{Types: types})
			require.NoError(t, err)
			sets[i] = set
			if i == 0 { // what all share is there from now on
				before = heap.Used()
			}
		}
		each := uint64(heap.Used()-before) / n
		assert.Less(t, each, uint64(8<<10), name)
		for _, set := range sets {
			require.NoError(t, set.Close())
		}
	}
}

// Many tenants' documents, in force in an Engine, take little for each route, whatever belongs to it included.
func TestTenantsInForceTakeLittle(t *testing.T) { //nolint:paralleltest // counts what the whole process keeps
	all, ofSet := inForce(t, 300)
	assert.Less(t, all, 12.0*1024)
	assert.Less(t, ofSet, 9.0*1024)
}

// What a Set that took another one's place does not use of it is not kept: reloads do not add up.
func TestReloadsDoNotAddUp(t *testing.T) { //nolint:paralleltest // counts what the whole process keeps
	set, err := config.Load("a.yaml", ofTenant(0), config.Options{})
	require.NoError(t, err)
	reload := func(n int) {
		for i := range n {
			d, err := set.Document.SetChannel("hook-0", fmt.Appendf(nil, `{"type": "webhook", "url": "https://a.example.com/%d", "content_type": "text/plain"}`, i), config.Options{})
			require.NoError(t, err)
			src, err := d.Reveal(t.Context())
			require.NoError(t, err)
			next, err := config.Load("a.json", src, config.Options{Previous: set})
			require.NoError(t, err)
			require.NoError(t, set.Close())
			set = next
		}
	}
	reload(10)
	before := heap.Used()
	reload(100)
	assert.Less(t, heap.Used()-before, int64(100<<10))
	require.NoError(t, set.Close())
}

// An alias counts as what it stands for.
func TestAliasesCountAsWhatTheyStandFor(t *testing.T) {
	t.Parallel()
	aliases := func(text string, n int) string {
		channel := "  - {type: webhook, name: c%d, url: https://hooks.example.com/x, body: {kind: template, template: %s}}\n"
		src := "channels:\n" + fmt.Sprintf(channel, 0, "&t '\""+text+"\"'")
		for i := 1; i < n; i++ {
			src += fmt.Sprintf(channel, i, "*t")
		}
		return src
	}
	load(t, "a.yaml", aliases(strings.Repeat("x", 10<<10), 50), config.Options{})
	for name, test := range map[string]struct {
		text    string
		options config.Options
	}{
		"beyond the default": {strings.Repeat("x", 30<<10), config.Options{}},
		"beyond the host's":  {strings.Repeat("x", 2<<10), config.Options{MaxSize: 64 << 10}},
	} {
		_, err := config.Load("a.yaml", []byte(aliases(test.text, 50)), test.options)
		require.ErrorContains(t, err, "the document becomes too large here, with its aliases written out", name)
	}
}

// A document has at most so many suggestions as a person reads; the errors are all there.
func TestSuggestionsAreBounded(t *testing.T) {
	t.Parallel()
	const n = 4000
	_, err := config.Load("a.yaml", []byte(hostileDocuments()["fallbacks that name nothing"](n)), config.Options{})
	require.ErrorContains(t, err, "has 3900 more problems")
	suggested := strings.Count(err.Error(), "did you mean")
	assert.Positive(t, suggested)
	assert.LessOrEqual(t, suggested*n, 50_000)
	_, err = config.Load("a.yaml", []byte(hostileDocuments()["fallbacks that name nothing"](100)), config.Options{})
	assert.Equal(t, 100, strings.Count(err.Error(), "did you mean"), "an honest document gets all of them")
}

// Numbers that cost memory, goroutines or connections have caps, which the host sets.
func TestNumbersAreCapped(t *testing.T) {
	t.Parallel()
	mail := "channels:\n  - {type: email, name: hook, smtp_host: relay.example.com, from_address: a@example.com, to_addresses: [b@example.com], timeout: %s}\nroutes:\n  - {name: route, channel: hook}\n"
	for _, test := range []struct {
		src     string
		options config.Options
		want    string // "" = loads
	}{
		{hook("", "concurrency: 64"), config.Options{}, ""},
		{hook("", "concurrency: 65"), config.Options{}, "routes[0].concurrency is out of range; use 1 to 64"},
		{hook("", "concurrency: 2147483647"), config.Options{}, "routes[0].concurrency is out of range"},
		{hook("", "concurrency: 65"), config.Options{Caps: config.Caps{Concurrency: 100}}, ""},
		{hook("", "concurrency: 3"), config.Options{Caps: config.Caps{Concurrency: 2}}, "routes[0].concurrency is out of range; use 1 to 2"},
		{hook("", "backlog: {jobs: 100000}"), config.Options{}, ""},
		{hook("", "backlog: {jobs: 2147483647}"), config.Options{}, "routes[0].backlog.jobs is out of range; use 1 to 100000"},
		{hook("", "dead_letters: {count: 100000}"), config.Options{}, ""},
		{hook("", "dead_letters: {count: 100001}"), config.Options{}, "routes[0].dead_letters.count is out of range; use 1 to 100000"},
		{hook("", "backlog: {jobs: 11}"), config.Options{Caps: config.Caps{Backlog: 10}}, "routes[0].backlog.jobs is out of range"},
		{hook("max_body: 16777217", ""), config.Options{}, "channels[0].max_body is out of range"},
		{hook("max_body: 1025", ""), config.Options{Caps: config.Caps{MaxBody: 1024}}, "channels[0].max_body is out of range"},
		{hook("timeouts: {total: 11m}", ""), config.Options{}, "channels[0].timeouts.total is longer than 10m; give a shorter time"},
		{hook("timeouts: {total: 11m}", ""), config.Options{Caps: config.Caps{Timeout: time.Hour}}, ""},
		{hook("", "timeout: 11m"), config.Options{}, "routes[0].timeout is longer than 10m"},
		{fmt.Sprintf(mail, "11m"), config.Options{}, "channels[0].timeout is longer than 10m"},
		{hook("", "dedup: {window: 745h}"), config.Options{}, "routes[0].dedup.window is longer than 744h"},
		{hook("", "dedup: {window: 2h}"), config.Options{Caps: config.Caps{Dedup: time.Hour}}, "routes[0].dedup.window is longer than 1h"},
		{hook("", "") + "  - {name: other, channel: hook}\n", config.Options{Caps: config.Caps{Routes: 1}}, "routes[1] is one too many; use at most 1"},
		{hook("", ""), config.Options{Caps: config.Caps{Channels: 1}}, ""},
	} {
		set, err := config.Load("a.yaml", []byte(test.src), test.options)
		if test.want == "" {
			require.NoError(t, err, test.src)
			require.NoError(t, set.Close())
			continue
		}
		require.ErrorContains(t, err, test.want, test.src)
	}
}
