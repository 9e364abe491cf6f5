package oteldispatch_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// tree draws the finished spans: each below its parent, in the order of their beginnings, with what it tells.
func (b *bundle) tree() string {
	all := b.spans.GetSpans()
	slices.SortStableFunc(all, func(x, y tracetest.SpanStub) int {
		if c := x.StartTime.Compare(y.StartTime); c != 0 {
			return c
		}
		return strings.Compare(x.Name, y.Name)
	})
	names := map[trace.SpanID]string{}
	for _, s := range all {
		names[s.SpanContext.SpanID()] = s.Name
	}
	var out strings.Builder
	var draw func(parent trace.SpanID, depth string)
	draw = func(parent trace.SpanID, depth string) {
		for _, s := range all {
			if s.Parent.SpanID() != parent {
				continue
			}
			fmt.Fprintf(&out, "%s%s (%s) at %v for %v\n", depth, s.Name, s.SpanKind, s.StartTime.Sub(b.began), s.EndTime.Sub(s.StartTime))
			for _, a := range sorted(s.Attributes) {
				fmt.Fprintf(&out, "%s    %s = %s\n", depth, a.Key, a.Value.String())
			}
			for _, l := range s.Links {
				same := "of the same trace"
				if l.SpanContext.TraceID() != s.SpanContext.TraceID() {
					same = "of another trace"
				}
				fmt.Fprintf(&out, "%s    link to %s %s\n", depth, names[l.SpanContext.SpanID()], same)
			}
			if s.Status.Code != codes.Unset {
				fmt.Fprintf(&out, "%s    status %s: %s\n", depth, s.Status.Code, s.Status.Description)
			}
			require.Empty(b.t, s.Events)
			draw(s.SpanContext.SpanID(), depth+"  ")
		}
	}
	draw(trace.SpanID{}, "")
	return out.String()
}

func sorted(all []attribute.KeyValue) []attribute.KeyValue {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y attribute.KeyValue) int { return strings.Compare(string(x.Key), string(y.Key)) })
	return all
}

// series lists all metrics, a line each.
func (b *bundle) series() string {
	var all metricdata.ResourceMetrics
	require.NoError(b.t, b.metrics.Collect(context.Background(), &all))
	var lines []string
	add := func(m metricdata.Metrics, about attribute.Set, value string) {
		var words []string
		for _, a := range about.ToSlice() {
			words = append(words, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
		}
		lines = append(lines, fmt.Sprintf("%s [%s] {%s} %s", m.Name, m.Unit, strings.Join(words, ", "), value))
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, fmt.Sprintf("count %d, sum %v", p.Count, p.Sum))
				}
			default:
				require.Failf(b.t, "unexpected data", "%T of %s", data, m.Name)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
