package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/nicholas-fedor/shoutrrr"

	"github.com/tocsin-go/tocsin/event"
)

// shoutrrrSender is shoutrrr's generic service. It always uses the default transport: tuned means that this is, for the
// whole process.
func shoutrrrSender(tuned bool) senderMaker {
	m := senderMaker{
		name:   "shoutrrr, as it comes",
		traits: senderTraits{"text as given, as text/plain", "no", "text; 10 s, then the request goes on unseen", "yes, without a bound", "no", "no"},
	}
	if tuned {
		m.name = "shoutrrr, default transport tuned"
	}
	m.open = func(target string) (sender, error) {
		router, err := shoutrrr.CreateSender("generic+" + target)
		if err != nil {
			return sender{}, err
		}
		transport := http.DefaultTransport.(*http.Transport) //nolint:forbidigo // what is measured uses it
		idle, perHost := transport.MaxIdleConns, transport.MaxIdleConnsPerHost
		if tuned {
			transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 4*sending, 4*sending
		}
		return sender{
			send: func(_ context.Context, e event.Event) error {
				return errors.Join(router.Send(string(e.JSON()), nil)...)
			},
			close: func() {
				transport.CloseIdleConnections()
				transport.MaxIdleConns, transport.MaxIdleConnsPerHost = idle, perHost
			},
		}, nil
	}
	return m
}
