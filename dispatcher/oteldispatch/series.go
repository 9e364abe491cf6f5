package oteldispatch

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// facts are what the metrics tell of a measurement; "" = not told.
type facts struct {
	operation     string
	operationType string
	route         string
	eventType     string
	tenant        string
	verdict       string
	reason        string
	result        string
	failure       string
}

func (f facts) set() attribute.Set {
	all := make([]attribute.KeyValue, 0, 9)
	add := func(key attribute.Key, value string) {
		if value != "" {
			all = append(all, key.String(value))
		}
	}
	if f.operation != "" {
		add(semconv.MessagingSystemKey, system)
	}
	add(semconv.MessagingOperationNameKey, f.operation)
	add(semconv.MessagingOperationTypeKey, f.operationType)
	add(semconv.MessagingDestinationNameKey, f.route)
	add(keyEventType, f.eventType)
	add(keyTenant, f.tenant)
	add(keyVerdict, f.verdict)
	add(keyReason, f.reason)
	add(keyResult, f.result)
	add(semconv.ErrorTypeKey, f.failure)
	return attribute.NewSet(all...)
}

// options say whose measurement it is, as the instruments take them.
type options struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

// maxSeries bounds what a series remembers: a host with many tenants pays with time rather than with memory.
const maxSeries = 4096

// series remembers the options for facts, because making them costs more than the measurement.
type series struct {
	mu    sync.RWMutex
	known map[facts]options
}

func (s *series) of(f facts) options {
	s.mu.RLock()
	o, ok := s.known[f]
	s.mu.RUnlock()
	if ok {
		return o
	}
	set := metric.WithAttributeSet(f.set())
	o = options{add: []metric.AddOption{set}, record: []metric.RecordOption{set}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSeries {
		s.known = map[facts]options{}
	}
	s.known[f] = o
	return o
}
