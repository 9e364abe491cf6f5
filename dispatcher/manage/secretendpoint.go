package manage

import (
	"net/http"
	"time"
)

type rotateBody struct {
	Overlap string `json:"overlap,omitempty" doc:"For how long the previous secret signs as well, such as 12h; at most 168h. Default: 24h."`
	Secret  string `json:"secret,omitempty" doc:"The new secret. Default: one is made."`
	Force   bool   `json:"force,omitempty" doc:"Whether the use of the secret before the previous one may end, if that is still in use."`
}

type rotatedForm struct {
	Secret        string      `json:"secret" doc:"The new secret, which is shown this once."`
	PreviousUntil time.Time   `json:"previous_until" doc:"Until when the previous secret signs as well."`
	Channel       channelForm `json:"channel" doc:"The channel."`
}

func secretEndpoints() []endpoint {
	return []endpoint{
		{
			method: http.MethodPost, path: "/notification-channels/{name}/rotate-secret", role: Editor, id: "rotateSecret", request: rotateBody{}, match: "required",
			summary: "Change the secret by which a channel signs. Until previous_until requests are signed with both.", answers: ok(rotatedForm{}, "The new secret."),
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				var b rotateBody
				if err := c.optionalBody(4096, &b); err != nil {
					return nil, err
				}
				r := Rotation{Secret: b.Secret, Force: b.Force}
				if b.Overlap != "" {
					if r.Overlap, err = time.ParseDuration(b.Overlap); err != nil || r.Overlap <= 0 {
						return nil, &Error{Code: CodeFields, Fields: []FieldError{{"/overlap", "invalid", "is not a time", "write it like 12h", 0, 0}}}
					}
				}
				out, err := c.service.RotateSecret(c.ctx(), c.by, c.path["name"], etag, r)
				if err != nil {
					return nil, err
				}
				return &reply{status: http.StatusOK, body: rotatedForm{out.Secret, out.PreviousUntil, formOf(out.Channel)}, etag: out.Channel.ETag}, nil
			},
		},
		{
			method: http.MethodPost, path: "/notification-channels/{name}/revoke-previous", role: Editor, id: "revokePrevious", match: "optional",
			summary: "End the use of the previous secret by which a channel signs.", answers: ok(channelForm{}, "The channel."),
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				return c.channel(c.service.RevokePrevious(c.ctx(), c.by, c.path["name"], etag))
			},
		},
	}
}
