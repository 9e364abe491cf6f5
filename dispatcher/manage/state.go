package manage

import (
	"context"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// Enable has all routes of a channel take and deliver events. A channel that is so already is not changed; likewise for
// Disable and Pause. etag is as in Replace.
func (s *Service) Enable(ctx context.Context, by By, name, etag string) (Channel, error) {
	return s.setState(ctx, by, name, etag, dispatcher.Enabled, event.TypeChannelEnabled)
}

// Disable has a channel take no new events and send nothing; what waits is held.
func (s *Service) Disable(ctx context.Context, by By, name, etag string) (Channel, error) {
	return s.setState(ctx, by, name, etag, dispatcher.Disabled, event.TypeChannelSwitchedOff)
}

// Pause has a channel take events and send nothing.
func (s *Service) Pause(ctx context.Context, by By, name, etag string) (Channel, error) {
	return s.setState(ctx, by, name, etag, dispatcher.Paused, event.TypeChannelPaused)
}

func (s *Service) setState(ctx context.Context, by By, name, etag string, to dispatcher.State, t event.Type) (Channel, error) {
	return s.changeChannel(ctx, by, edit{typ: t, channel: name, etag: etag,
		change: func(v *view, _ config.Options) (*config.Document, error) {
			d := v.document()
			if d.Channel(name) == nil {
				return nil, noChannel(name)
			}
			if len(d.RoutesOf(name)) == 0 {
				return nil, newError(CodeState, "no route uses the channel", "give it one first")
			}
			next, err := d.SetState(name, to)
			if err != nil {
				return nil, fieldsError(err, "")
			}
			return next, nil
		}})
}

// validateIdle returns a CodeState unless the routes of a channel are disabled, and have nothing in their lanes.
func (s *Service) validateIdle(ctx context.Context, tenant string, d *config.Document, name string) error {
	var ids []dispatcher.RouteID
	for _, route := range d.RoutesOf(name) {
		ids = append(ids, dispatcher.RouteID{Tenant: tenant, Name: route})
	}
	if ids == nil {
		return nil
	}
	found, err := s.engine.Status(ctx, dispatcher.StatusFilter{Routes: ids})
	if err != nil {
		return unavailable("the queue", err)
	}
	for _, r := range found {
		if r.State != dispatcher.Disabled {
			return newError(CodeState, "the channel is in use", "disable it first")
		}
		if r.Queued != 0 || r.InFlight != 0 || r.DeadLetters != 0 {
			return newError(CodeState, "deliveries wait for the channel, or are dead, under its name", "deliver or discard them first")
		}
	}
	return nil
}
