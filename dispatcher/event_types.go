package dispatcher

import "github.com/tocsin-go/tocsin/event"

// checkTypes reports the patterns of a route's filter that match no type of events; mistakes in the filter itself are
// reported by validate.
func (e *Engine) checkTypes(index int, r *Route) error {
	if r.Events.Err() != nil {
		return nil
	}
	if err := r.Events.Check(e.types...); err != nil {
		return &ConfigError{Route: clip(r.Name), Index: index, Field: "Events", Problem: err.Error(), Remedy: "correct it, or list your own types in Config.EventTypes"}
	}
	return nil
}
