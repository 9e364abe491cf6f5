package main

import (
	"bytes"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain lets the tests be the receiver as well. Two peers have a goroutine for as long as the collector has not
// found their cache, or for ever.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == receiverRole {
		if receive(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1"),
	)
}

// tiny is enough to see that everybody does the work.
func tiny() size {
	return size{
		rounds: 2, deliveries: 2_000, requests: 120, events: 30, hangs: 1, checks: 4_000, retries: 500, lead: time.Second, jobs: 1000,
		bodies: 20, stored: 200,
	}
}

// TestEveryContestIsRun runs all of it with tiny counts, so that no entrant rots. Figures of such a run say nothing, so
// it looks only at those that are counts.
func TestEveryContestIsRun(t *testing.T) {
	p := tiny()
	outcomes, err := compete(p, regexp.MustCompile(""), regexp.MustCompile(""), func(line string) { t.Log(line) })
	require.NoError(t, err)
	require.Len(t, outcomes, len(p.contests()))
	for _, o := range outcomes {
		require.Len(t, o.Entrants, len(o.contest.entrants), o.Name)
		for _, e := range o.Entrants {
			assert.Positive(t, e.Rate.Median, "%s: %s", o.Name, e.Name)
			assert.Len(t, e.Metrics, len(o.contest.metrics), "%s: %s", o.Name, e.Name)
			assert.Zero(t, e.Metrics["mistaken"].Max, "%s: %s", o.Name, e.Name)
			if strings.HasPrefix(e.Name, "Tocsin") {
				assert.Zero(t, e.Metrics[repeatsMissed].Max, e.Name)
				// Those who lose them make one for each; those who keep them, as many as they send at a time.
				assert.Less(t, e.Metrics[newConnections].Max, 600.0, e.Name)
			}
		}
	}

	r := report{Command: "go run .", Machine: thisMachine(), Contests: outcomes, Targets: judge(p, outcomes)}
	for _, j := range r.Targets {
		assert.NotEqual(t, notMeasured, j.Verdict, "%s: %s", j.Contest, j.What)
	}
	var text, summary bytes.Buffer
	r.markdown(&text)
	r.summary(&summary)
	for _, o := range outcomes {
		assert.Contains(t, text.String(), "\n### "+o.Title+"\n")
		assert.Contains(t, summary.String(), "\n"+o.Title+" (-only "+o.Name+")\n")
		for _, e := range o.Entrants {
			assert.Contains(t, text.String(), "\n| "+e.Name+" ")
			assert.Contains(t, summary.String(), "\n| "+e.Name+" ")
		}
		for _, e := range o.contest.entrants {
			if e.traits != nil {
				assert.Len(t, e.traits, len(o.contest.traits), "%s: %s", o.Name, e.name)
			}
		}
	}
	for line := range strings.Lines(summary.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 120, "a terminal shows it in one line: %s", line)
	}
	require.NoError(t, r.save(t.TempDir()))
}

// TestEntrantsAreChosen keeps the first, which the others are compared with.
func TestEntrantsAreChosen(t *testing.T) {
	outcomes, err := compete(tiny(), regexp.MustCompile("^templates$"), regexp.MustCompile("raymond"), func(string) {})
	require.NoError(t, err)
	require.Len(t, outcomes, 1)
	names := []string{outcomes[0].Entrants[0].Name, outcomes[0].Entrants[1].Name}
	assert.Equal(t, []string{"text/template", "aymerick/raymond"}, names)
	assert.InDelta(t, 1, outcomes[0].Entrants[0].Ratio.Median, 0)

	_, err = compete(tiny(), regexp.MustCompile("no such contest"), regexp.MustCompile(""), func(string) {})
	assert.ErrorIs(t, err, errNoContest)
}

// TestRenderersMakeTheSameBody makes sure that they are compared at the same work.
func TestRenderersMakeTheSameBody(t *testing.T) {
	t.Parallel()
	data, err := renderData()
	require.NoError(t, err)
	var first string
	for _, r := range renderers() {
		render, err := r.open(data)
		require.NoError(t, err, r.name)
		body, err := render()
		require.NoError(t, err, r.name)
		if first == "" {
			first = body
		}
		assert.JSONEq(t, first, body, r.name)
		assert.Equal(t, first, body, r.name)
	}
	assert.Contains(t, first, "Payments troubleshooting")
	assert.Contains(t, first, "payments: Read only")
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", 1.07: "1.07", 9.996: "10.0", 46.31: "46.3", 99.96: "100", 512: "512", 1234: "1234", 23_149: "23.1 k",
		999_499: "999 k", 999_999: "1.00 M", 4_990_000: "4.99 M", -0.012: "-0.01",
	} {
		assert.Equal(t, want, figure(v))
	}
	assert.Equal(t, "never", figure(math.Inf(1)))
	assert.Equal(t, "–", spreadOf(nil).String())
	assert.Equal(t, "2 (1–7)", spreadOf([]float64{7, 1, 2}).String())
	assert.Equal(t, "2.50 (1–7)", spreadOf([]float64{7, 1, 2, 3}).String())
	text, err := spreadOf([]float64{1, math.Inf(1)}).MarshalJSON()
	require.NoError(t, err)
	assert.JSONEq(t, `{"median":null,"min":1,"max":null}`, string(text))
}
