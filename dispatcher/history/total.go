package history

import (
	"fmt"
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// Total is the number of entries in a span of time, by outcome. Delivered, Skipped, Failed and Postponed are attempts,
// Dead are dead deliveries.
type Total struct {
	Time      time.Time `json:"time"` // when the span begins
	Delivered int       `json:"delivered"`
	Skipped   int       `json:"skipped"`
	Failed    int       `json:"failed"`
	Postponed int       `json:"postponed"`
	Dead      int       `json:"dead"`
}

// Add counts n entries with an Entry.Outcome. One that is none of package dispatcher's is not counted.
func (t *Total) Add(outcome string, n int) {
	switch dispatcher.Outcome(outcome) {
	case dispatcher.Delivered:
		t.Delivered += n
	case dispatcher.Skipped:
		t.Skipped += n
	case dispatcher.Failed:
		t.Failed += n
	case dispatcher.Postponed:
		t.Postponed += n
	case dispatcher.Dead:
		t.Dead += n
	}
}

// maxSpans is the most spans of one Totals.
const maxSpans = 1000

// SpanError says why there are no totals for a span of time: there is no beginning or end, or no step, or there are
// more than 1,000 of them, or more than 292 years.
type SpanError struct{ Problem string }

func (e *SpanError) Error() string { return "history: totals need other times: " + e.Problem }

// Spans returns an empty Total for each step from Since up to Until, the last of which may be shorter. An entry belongs
// to number e.Time.Sub(q.Since)/step. An error is a *SpanError.
func (q Query) Spans(step time.Duration) ([]Total, error) {
	switch {
	case q.Since.IsZero() || q.Until.IsZero():
		return nil, &SpanError{"Since and Until are both needed"}
	case step <= 0:
		return nil, &SpanError{"the step is to be more than 0"}
	}
	length := max(q.Until.Sub(q.Since), 0)
	n := length / step
	if length%step > 0 {
		n++
	}
	if length == math.MaxInt64 {
		return nil, &SpanError{"more than 292 years"}
	}
	if n > maxSpans {
		return nil, &SpanError{fmt.Sprintf("%d steps, at most %d are counted at once", n, maxSpans)}
	}
	all := make([]Total, n)
	for i := range all {
		all[i].Time = q.Since.Add(time.Duration(i) * step).UTC()
	}
	return all, nil
}
