package manage

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

type testBody struct {
	EventType string            `json:"event_type,omitempty" doc:"Type of the event that is sent: a sample of it. This or event is required."`
	Event     json.RawMessage   `json:"event,omitempty" ref:"Any" doc:"The event that is sent, in the form of the event type's sample. It gets a new id, and is marked as a test."`
	Channel   json.RawMessage   `json:"channel,omitempty" ref:"Channel" doc:"Settings to test in place of the stored ones. Nothing is stored."`
	Routes    []json.RawMessage `json:"routes,omitempty" ref:"Route" doc:"Routes of that channel, whose first one counts."`
}

// messageForm is one direction of an exchange.
type messageForm struct {
	Start     string              `json:"start" doc:"Request line or status line."`
	Header    map[string][]string `json:"header,omitempty" doc:"The header."`
	Text      string              `json:"body_text,omitempty" doc:"The body, if it is text."`
	Base64    string              `json:"body_base64,omitempty" doc:"The body in base64, if it is no text."`
	Truncated bool                `json:"truncated,omitempty" doc:"Whether there was more of the body."`
}

// messageOf is nil if there is none.
func messageOf(m *channel.Message) *messageForm {
	if m == nil {
		return nil
	}
	var f messageForm
	text, err := json.Marshal(m)
	if err != nil || json.Unmarshal(text, &f) != nil {
		return &messageForm{Start: m.Start}
	}
	return &f
}

type testForm struct {
	OK             bool         `json:"ok" doc:"Whether it was delivered."`
	Stage          string       `json:"stage" enum:"render,guard,connect,tls,send,answer" doc:"Where it ended."`
	Verdict        string       `json:"verdict" doc:"What a delivery would make of it, such as success, transient or permanent."`
	Error          string       `json:"error,omitempty" doc:"What went wrong; absent if nothing did."`
	Status         int          `json:"status,omitempty" doc:"HTTP status or SMTP reply code; absent if there was no answer."`
	DurationMS     int64        `json:"duration_ms" doc:"How long the exchange took, in milliseconds."`
	OutcomeUnknown bool         `json:"outcome_unknown" doc:"Whether the receiver may have acted although it did not say so."`
	Request        *messageForm `json:"request,omitempty" doc:"What was sent, or would have been, as far as it was made; without secrets."`
	Response       *messageForm `json:"response,omitempty" doc:"What came back; without secrets."`
}

type checkForm struct {
	OK      bool   `json:"ok" doc:"Whether a delivery would be taken now."`
	Message string `json:"message,omitempty" doc:"What the relay said; absent if it is OK."`
}

func testEndpoints() []endpoint {
	test := func(path, id, summary string, saved bool) endpoint {
		return endpoint{
			method: http.MethodPost, path: path, role: Editor, id: id, summary: summary, request: testBody{}, answers: ok(testForm{}, "What came of it, also if nothing could be sent."),
			handle: func(c *call) (*reply, error) {
				var b testBody
				if err := c.body(2*c.service.options.Limits.Channel, &b); err != nil {
					return nil, err
				}
				in := TestInput{EventType: event.Type(b.EventType), Event: b.Event}
				switch {
				case b.Channel != nil:
					in.Channel = &ChannelInput{b.Channel, b.Routes}
				case !saved:
					return nil, &Error{Code: CodeFields, Fields: []FieldError{{"/channel", channel.CodeMissing, "is missing", "give the channel to test", 0, 0}}}
				case b.Routes != nil:
					return nil, &Error{Code: CodeFields, Fields: []FieldError{{"/routes", channel.CodeConflict, "are set without channel", "give both, or neither", 0, 0}}}
				}
				if saved {
					if _, err := c.service.Get(c.ctx(), c.by.Tenant, c.path["name"]); err != nil {
						return nil, err
					}
				}
				r, err := c.service.Test(c.ctx(), c.by, c.path["name"], in)
				if err != nil {
					return nil, err
				}
				return &reply{status: http.StatusOK, body: testForm{
					r.OK, string(r.Stage), r.Verdict, r.Error, r.Status, r.Duration.Round(time.Millisecond).Milliseconds(), r.OutcomeUnknown,
					messageOf(r.Request), messageOf(r.Response),
				}}, nil
			},
		}
	}
	return []endpoint{
		test("/notification-channels/{name}/test", "testChannel", "Send a test through a stored channel, whatever its state, or through one with other settings.", true),
		test("/notification-channels/test", "testUnsavedChannel", "Send a test through a channel that is not stored.", false),
		{
			method: http.MethodPost, path: "/notification-channels/{name}/check", role: Viewer, id: "checkChannel", answers: ok(checkForm{}, "What the relay says."),
			summary: "Ask the relay of a channel whether it would take a delivery now, without sending one.",
			handle: func(c *call) (*reply, error) {
				r, err := c.service.Check(c.ctx(), c.by.Tenant, c.path["name"])
				return &reply{status: http.StatusOK, body: checkForm(r)}, err
			},
		},
	}
}
