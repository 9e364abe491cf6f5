package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made is a report of two entrants.
func made() report {
	one := func(v float64) spread { return spread{v, v, v} }
	c := contest{name: "dedup", title: "Dedup <&>", work: "Work.", unit: "check", metrics: []string{heldPerKey}}
	o := outcome{Name: c.name, Title: c.title, Unit: c.unit, contest: c, Entrants: []result{
		{Name: "floor", CPU: one(100), Ratio: one(1), Rate: one(1e6), Allocations: one(2)},
		{Name: nameDedup, CPU: one(150), Ratio: one(1.5), Rate: one(7e5), Allocations: one(2), Metrics: map[string]spread{heldPerKey: one(100)}},
	}}
	r := report{Command: "go run .", Machine: machine{Cores: 2, When: time.Unix(0, 0).UTC()}, Contests: []outcome{o}}
	r.Targets = judge(tiny(), r.Contests)
	return r
}

func TestTargetsAreJudged(t *testing.T) {
	t.Parallel()
	verdicts := map[string]string{}
	for _, j := range made().Targets {
		verdicts[j.What] = j.Verdict
		assert.Equal(t, j.Verdict == missed, j.Why != "", j.What)
	}
	assert.Equal(t, map[string]string{
		"CPU beside the floor": missed, "bytes per live key": met, "repeats missed": notMeasured,
	}, verdicts, "targets of contests that were not run are left out")

	least := target{least: 2, value: func(figures) float64 { return 3 }}
	assert.Equal(t, met, least.judge(nil).Verdict)
	least.value = func(figures) float64 { return 1 }
	assert.Equal(t, missed, least.judge(nil).Verdict)
	least.value = func(figures) float64 { return math.NaN() }
	assert.Equal(t, notMeasured, least.judge(nil).Verdict)
}

func TestChartIsWellFormed(t *testing.T) {
	t.Parallel()
	chart := made().chart()
	assert.Contains(t, chart, "Dedup &lt;&amp;&gt;")
	assert.Contains(t, chart, `<rect class="ours"`)
	decoder := xml.NewDecoder(strings.NewReader(chart))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestOnlyTheSectionIsRewritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("before\n" + sectionBegin + "\nold\n" + sectionEnd + "\nafter\n")
	r := made()
	r.Contests[0].Name = "durable" // one of those that a README shows
	for range 2 {
		require.NoError(t, r.rewrite(file))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(text), "before\n"+sectionBegin+"\n`go run .` in "))
		assert.True(t, strings.HasSuffix(string(text), "\n"+sectionEnd+"\nafter\n"))
		assert.Equal(t, 1, strings.Count(string(text), "| "+nameDedup+" | 150    | 1.50 | 700 k    | 2           | 100       |"))
		assert.NotContains(t, string(text), "old")
	}
	write("no section\n")
	require.ErrorIs(t, made().rewrite(file), errNoSection)
}
