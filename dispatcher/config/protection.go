package config

import (
	"cmp"

	"github.com/tocsin-go/tocsin/dispatcher"
)

func protectionFields() []Field {
	return []Field{
		{Name: "breaker", Kind: Object, Doc: "Pauses the route while its destination fails, instead of using up attempts. Default: off.", Fields: []Field{
			{Name: "failures", Kind: Number, Required: true, Min: 1, Doc: "How many transient failures in a row open it."},
			{Name: "pause", Kind: Duration, Doc: "The first pause; it doubles with every failure after. Default: 30s."},
			{Name: "max_pause", Kind: Duration, Doc: "The longest pause. Default: 15m."},
		}},
		{Name: "disable_after", Kind: Duration, Doc: "Pauses the route after failing for so long without a success, until the configuration is loaded anew. Default: never."},
		{Name: "fallback", Doc: "Name of the route that gets what this one gives up. Default: none."},
	}
}

// protection makes what s describes. Paths of errors begin within the route.
func protection(s Settings) (dispatcher.Protection, error) {
	b := s.Object("breaker")
	var err error
	if pause := cmp.Or(b.Duration("pause"), dispatcher.DefaultBreakerPause); b.Has("max_pause") && b.Duration("max_pause") < pause {
		err = &Error{Path: "breaker.max_pause", Problem: "is shorter than the first pause of " + writeDuration(pause), Remedy: "raise it"}
	}
	return dispatcher.Protection{
		Breaker:      dispatcher.Breaker{Failures: b.Number("failures"), Pause: b.Duration("pause"), MaxPause: b.Duration("max_pause")},
		DisableAfter: s.Duration("disable_after"),
		Fallback:     s.Text("fallback"),
	}, err
}
