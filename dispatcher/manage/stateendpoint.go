package manage

import (
	"context"
	"net/http"
)

func stateEndpoints() []endpoint {
	change := func(word, summary string, role Role, do func(*Service, context.Context, By, string, string) (Channel, error)) endpoint {
		return endpoint{
			method: http.MethodPost, path: "/notification-channels/{name}/" + word, role: role, id: word + "Channel", match: "optional",
			summary: summary, answers: ok(channelForm{}, "The channel."),
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				return c.channel(do(c.service, c.ctx(), c.by, c.path["name"], etag))
			},
		}
	}
	return []endpoint{
		change("enable", "Have a channel take and deliver events.", Editor, (*Service).Enable),
		change("disable", "Have a channel take no new events and send nothing; what waits is held.", Editor, (*Service).Disable),
		change("pause", "Have a channel take events and send nothing.", Editor|Operator, (*Service).Pause),
	}
}
