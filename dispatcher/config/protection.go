package config

import (
	"cmp"
	"errors"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
)

func protectionFields() []Field {
	return []Field{
		{Name: "breaker", Kind: Object, Doc: "Lets one attempt through at growing intervals while the destination fails, instead of one for everything that waits. Default: on, with the defaults below.", Fields: []Field{
			{Name: "failures", Kind: Number, Min: 1, Doc: "How many deliveries fail in a row before it opens. Default: 10."},
			{Name: "pause", Kind: Duration, Min: 1, Doc: "The first pause; it doubles with every failure after. Default: 30s."},
			{Name: "max_pause", Kind: Duration, Min: 1, Doc: "The longest pause. Default: 15m."},
			{Name: "off", Kind: Flag, Doc: "Whether there is none. Default: false."},
		}},
		{Name: "disable_after", Kind: Duration, Min: 1, Doc: "Pauses the route after failing for so long without a success, until the configuration is loaded anew. Default: never."},
		{Name: "fallback", Doc: "Name of the route that gets what this one gives up. Default: none."},
	}
}

// protection makes what s describes.
func protection(s Settings) (dispatcher.Protection, error) {
	b := s.Object("breaker")
	var err error
	if pause := cmp.Or(b.Duration("pause"), dispatcher.DefaultBreakerPause); b.Has("max_pause") && b.Duration("max_pause") < pause {
		err = b.Mistake("max_pause", channel.CodeConflict, "is shorter than the first pause of "+writeDuration(pause), "raise it")
	}
	breaker := dispatcher.Breaker{Failures: b.Number("failures"), Pause: b.Duration("pause"), MaxPause: b.Duration("max_pause")}
	if b.Flag("off", false) {
		breaker.Failures = -1
		for _, field := range []string{"failures", "pause", "max_pause"} {
			if b.Has(field) {
				err = errors.Join(err, b.Mistake(field, channel.CodeConflict, "is set beside off", "remove one of them"))
			}
		}
	}
	return dispatcher.Protection{
		Breaker:      breaker,
		DisableAfter: s.Duration("disable_after"),
		Fallback:     s.Text("fallback"),
	}, err
}
