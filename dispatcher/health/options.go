package health

import (
	"log/slog"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// Alert says when a route's failure is reported. The zero value is the defaults.
type Alert struct {
	// After is how long a route must have been failing, without a success in between, before it is reported; 0 =
	// DefaultAfter, negative = at the first failed attempt.
	After time.Duration
	// Resend is the pause between reports while the failure lasts; 0 = DefaultResend, negative = it is reported once. A
	// failure lasts while attempts fail or something waits for the route. When nothing does, the next report, or one
	// after DefaultResend, is that it recovered untried (event.ChannelRecovered), as far as the Dispatcher that Run is
	// given can count what waits: an Engine can.
	Resend time.Duration
	// Off reports neither failing nor recovery. A route that is disabled because its destination is gone is reported
	// all the same.
	Off bool
	// Dead also reports each dead delivery (event.DeliveryDead), except those of the library's own events.
	Dead bool
}

// Defaults of Alert.
const (
	DefaultAfter  = 5 * time.Minute
	DefaultResend = time.Hour
)

// Options configure a Monitor. The zero value reports every route by the defaults of Alert.
type Options struct {
	Alert  Alert                        // for the routes that are not in Routes
	Routes map[dispatcher.RouteID]Alert // a value replaces Alert as a whole
	Logger *slog.Logger                 // of what could not be dispatched; nil = slog.Default
}

func (a Alert) withDefaults() Alert {
	if a.After == 0 {
		a.After = DefaultAfter
	}
	if a.Resend == 0 {
		a.Resend = DefaultResend
	}
	a.After = max(a.After, 0)
	return a
}
