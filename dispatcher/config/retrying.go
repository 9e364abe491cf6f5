package config

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/retry"
)

// retrying makes the policy that the field retry describes: a schedule, or a fixed or growing interval bounded by
// count, duration, both or neither.
func retrying(s Settings) (retry.Policy, error) {
	var errs []error
	beside := func(field string, others ...string) {
		for _, other := range others {
			if s.Has(field) && s.Has(other) {
				errs = append(errs, s.Mistake(other, channel.CodeConflict, "is set beside "+field, "remove one of them"))
			}
		}
	}
	beside("schedule", "count", "interval", "duration", "initial", "longest")
	beside("interval", "initial", "longest")
	if s.Has("schedule") && len(s.Durations("schedule")) == 0 {
		errs = append(errs, s.Mistake("schedule", channel.CodeMissing, "is empty", "list the pause before each attempt, the first included, such as [0s, 5s, 5m]"))
	}
	if s.Has("initial") && s.Has("longest") && s.Duration("longest") < s.Duration("initial") {
		errs = append(errs, s.Mistake("longest", channel.CodeConflict, "is shorter than initial", "raise it"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if s.Has("schedule") {
		return retry.Schedule(s.Durations("schedule")), nil
	}
	var p retry.Policy = retry.Exponential{Initial: s.Duration("initial"), Max: s.Duration("longest")}
	if s.Has("interval") {
		p = retry.Fixed{Interval: s.Duration("interval"), For: s.Duration("duration")}
	} else if s.Has("duration") {
		p = retry.Within(s.Duration("duration"), p)
	}
	if s.Has("count") {
		p = retry.AtMost(1+s.Number("count"), p)
	}
	return p, nil
}
