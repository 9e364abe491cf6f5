package netguard

import (
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

// Timeouts limit the phases of a request. Zero is the default.
type Timeouts struct {
	Connect time.Duration // name resolution and TCP; 10 s
	TLS     time.Duration // handshake; 10 s
	Header  time.Duration // from the request sent to the response header received; 15 s
	Total   time.Duration // everything, the response body included; 30 s. An earlier deadline of the request's context wins
}

func (t Timeouts) withDefaults() (Timeouts, error) {
	var errs []error
	for _, p := range []struct {
		path     string
		value    *time.Duration
		standard time.Duration
	}{
		{"Connect", &t.Connect, connectTimeout}, {"TLS", &t.TLS, 10 * time.Second},
		{"Header", &t.Header, 15 * time.Second}, {"Total", &t.Total, 30 * time.Second},
	} {
		if *p.value < 0 {
			errs = append(errs, mistake(channel.CodeRange, p.path, "is negative", "use 0 for the default of "+p.standard.String()))
		}
		if *p.value == 0 {
			*p.value = p.standard
		}
	}
	return t, errors.Join(errs...)
}
