package manage

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// attemptForm is an attempt, or that a delivery is dead.
type attemptForm struct {
	Seq            int64        `json:"seq" doc:"Identifies the entry; later ones have greater numbers."`
	Time           time.Time    `json:"time" doc:"When the attempt began, or the delivery became dead."`
	Route          string       `json:"route" doc:"Name of the route."`
	Type           string       `json:"type" doc:"Type of the event."`
	EventID        string       `json:"event_id" doc:"Id of the event."`
	Subject        string       `json:"subject,omitempty" doc:"What the event is about, such as the id of a request."`
	Outcome        string       `json:"outcome" enum:"delivered,skipped,failed,postponed,dead" doc:"What came of it."`
	Verdict        string       `json:"verdict,omitempty" doc:"What the failure means for further attempts."`
	Attempt        int          `json:"attempt" doc:"1 for the first; of a dead delivery, the attempts made."`
	Redelivery     bool         `json:"redelivery,omitempty" doc:"Whether it was delivered again on purpose."`
	Test           bool         `json:"test,omitempty" doc:"Whether the event is a test."`
	Status         int          `json:"status,omitempty" doc:"HTTP status or SMTP reply code; absent if there was no answer."`
	DurationMS     int64        `json:"duration_ms" doc:"How long it took, in milliseconds."`
	NextMS         int64        `json:"next_ms,omitempty" doc:"The pause until the next attempt, in milliseconds."`
	Error          string       `json:"error,omitempty" doc:"What went wrong."`
	Reason         string       `json:"reason,omitempty" doc:"Why the delivery is dead."`
	OutcomeUnknown bool         `json:"outcome_unknown,omitempty" doc:"Whether the receiver may have acted although it did not say so."`
	PayloadHidden  bool         `json:"payload_hidden,omitempty" doc:"Whether event, request and response are not shown, because that right is missing."`
	Event          any          `json:"event,omitempty" ref:"Any" doc:"The event."`
	Request        *messageForm `json:"request,omitempty" doc:"What was sent, without secrets."`
	Response       *messageForm `json:"response,omitempty" doc:"What came back, without secrets."`
}

func attemptOf(e history.Entry) attemptForm {
	return attemptForm{
		Seq: e.Seq, Time: e.Time.UTC(), Route: e.Route.Name, Type: string(e.Event.Type()), EventID: e.Event.ID(), Subject: e.Event.Subject(),
		Outcome: string(e.Outcome), Verdict: e.Verdict, Attempt: e.Attempt, Redelivery: e.Generation != 0, Test: e.Event.IsTest(), Status: e.Status,
		DurationMS: e.Duration.Milliseconds(), NextMS: e.Next.Milliseconds(), Error: e.Error, Reason: e.Reason, OutcomeUnknown: e.OutcomeUnknown,
	}
}

type attemptPage struct {
	Entries    []attemptForm `json:"entries" doc:"The entries, the newest first."`
	NextCursor string        `json:"next_cursor,omitempty" doc:"Of the next page; absent on the last one."`
}

func historyEndpoints() []endpoint {
	return []endpoint{
		{
			method: http.MethodGet, path: "/history", role: Viewer, id: "listHistory", summary: "List what was tried, the newest first.",
			query: append([]parameter{
				textParameter("channel", "Name of a channel."), textParameter("type", "Type of the events."),
				oneOf("outcome", "The outcome.", "delivered", "skipped", "failed", "postponed", "dead"),
				{"status", "HTTP status or SMTP reply code.", map[string]any{"type": "integer"}},
				textParameter("subject", "What the events are about."), textParameter("event_id", "Id of an event."),
				timeParameter("since", "The earliest time."), timeParameter("until", "The time before which."),
			}, pageParameters()...),
			answers: ok(attemptPage{}, "The entries."), handle: listHistory,
		},
		{
			method: http.MethodGet, path: "/history/{seq}", role: Viewer, id: "getHistoryEntry", answers: ok(attemptForm{}, "The entry."),
			summary: "Get one entry, with event, request and response if the right to see those is there.",
			handle: func(c *call) (*reply, error) {
				e, err := c.service.HistoryEntry(c.ctx(), c.by.Tenant, c.seq())
				if err != nil {
					return nil, err
				}
				f := attemptOf(e)
				if f.PayloadHidden = !c.access.Payloads; c.access.Payloads {
					f.Event, f.Request, f.Response = e.Event.JSON(), messageOf(e.Request), messageOf(e.Response)
				}
				return &reply{status: http.StatusOK, body: f}, nil
			},
		},
		{
			method: http.MethodPost, path: "/history/{seq}/redeliver", role: Operator, id: "redeliverHistoryEntry", summary: "Deliver the event of an entry to its route again.",
			answers: []answer{{http.StatusAccepted, countForm{}, "It is queued."}},
			handle: func(c *call) (*reply, error) {
				err := c.service.Redeliver(c.ctx(), c.by, c.seq())
				return &reply{status: http.StatusAccepted, body: countForm{1}}, err
			},
		},
	}
}

// seq is the path's; 0 = it is no number, which no entry has.
func (c *call) seq() int64 {
	seq, err := strconv.ParseInt(c.path["seq"], 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

func listHistory(c *call) (*reply, error) {
	from, limit, err := c.page()
	if err != nil {
		return nil, err
	}
	q := HistoryQuery{Channel: c.text("channel")}
	q.Query = history.Query{EventID: c.text("event_id"), Subject: c.text("subject"), Type: event.Type(c.text("type")), Before: from.Seq, Limit: limit + 1}
	if q.Since, err = c.time("since"); err != nil {
		return nil, err
	}
	if q.Until, err = c.time("until"); err != nil {
		return nil, err
	}
	switch outcome := dispatcher.Outcome(c.text("outcome")); outcome {
	case "":
	case dispatcher.Delivered, dispatcher.Skipped, dispatcher.Failed, dispatcher.Postponed, dispatcher.Dead:
		q.Outcomes = []dispatcher.Outcome{outcome}
	default:
		return nil, parameterError("outcome", "is not one of the values it may have", "use delivered, skipped, failed, postponed or dead")
	}
	if text := c.text("status"); text != "" {
		if q.Status, err = strconv.Atoi(text); err != nil || q.Status < 100 {
			return nil, parameterError("status", "is no status", "write a number such as 503")
		}
	}
	found, err := c.service.History(c.ctx(), c.by.Tenant, q)
	if err != nil {
		return nil, err
	}
	out := attemptPage{Entries: []attemptForm{}}
	found, out.NextCursor = cutPage(c, found, limit, func(e history.Entry) cursor { return cursor{Seq: e.Seq} })
	for _, e := range found {
		out.Entries = append(out.Entries, attemptOf(e))
	}
	return &reply{status: http.StatusOK, body: out}, nil
}
