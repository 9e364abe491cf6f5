package manage

import (
	"sync"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// hidesAnswers reports whether nobody may see what a channel's receiver answers, because it is on a network that is not
// public: whoever may edit channels could read there what they cannot reach.
func (s *Service) hidesAnswers(d *config.Document, name string) bool {
	network := textOf(d.Channel(name), "network")
	return network != "" && network != "public" && !s.options.ShowResponses
}

// withoutAnswer is the part of a response that is shown nevertheless.
func withoutAnswer(response *channel.Message) *channel.Message {
	if response == nil {
		return nil
	}
	return &channel.Message{Start: response.Start}
}

// recorded is the Observer of the history, to which hidden answers are not given.
func (s *Service) recorded() dispatcher.Observer {
	o := s.recorder.Observer()
	record := o.Attempted
	o.Attempted = func(a dispatcher.Attempt) {
		if v := s.viewOf(a.Delivery.Route.Tenant); v.answers != nil && !v.answers.shownOf(s)[a.Delivery.Route.Name] {
			a.Receipt.Response = withoutAnswer(a.Receipt.Response)
		}
		record(a)
	}
	return o
}

// answers are the routes of a Set whose answers are shown, found when the first attempt is observed. A removed route's
// are not.
type answers struct {
	document *config.Document
	once     sync.Once
	shown    map[string]bool
}

func (a *answers) shownOf(s *Service) map[string]bool {
	a.once.Do(func() {
		a.shown = map[string]bool{}
		for _, c := range a.document.Channels() {
			hidden := s.hidesAnswers(a.document, c.Name)
			for _, r := range c.Routes {
				a.shown[r.Name] = !hidden
			}
		}
	})
	return a.shown
}
