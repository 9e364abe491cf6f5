package oteldispatch

import "github.com/tocsin-go/tocsin/dispatcher/queue"

// withCapabilities adds the optional interfaces that the wrapped queue has, and no other: an Engine asks for them by
// type, and one that is there but does nothing would be worse than none.
func withCapabilities(q *traced) queue.Queue {
	b, bounds := q.Queue.(queue.Bounder)
	i, inspects := q.Queue.(queue.Inspector)
	inner, schedules := q.Queue.(queue.Scheduler)
	s := &scheduler{Scheduler: inner, telemetry: q.telemetry}
	switch {
	case bounds && inspects && schedules:
		return struct {
			*traced
			queue.Bounder
			queue.Inspector
			*scheduler
		}{q, b, i, s}
	case inspects && schedules:
		return struct {
			*traced
			queue.Inspector
			*scheduler
		}{q, i, s}
	case bounds && schedules:
		return struct {
			*traced
			queue.Bounder
			*scheduler
		}{q, b, s}
	case bounds && inspects:
		return struct {
			*traced
			queue.Bounder
			queue.Inspector
		}{q, b, i}
	case schedules:
		return struct {
			*traced
			*scheduler
		}{q, s}
	case inspects:
		return struct {
			*traced
			queue.Inspector
		}{q, i}
	case bounds:
		return struct {
			*traced
			queue.Bounder
		}{q, b}
	}
	return q
}
