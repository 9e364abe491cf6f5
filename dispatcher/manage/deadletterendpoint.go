package manage

import (
	"context"
	"net/http"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

type deadLetterForm struct {
	ID       string    `json:"id" doc:"Identifies it."`
	Seq      int64     `json:"seq" doc:"Increases with each dead letter."`
	Route    string    `json:"route" doc:"Name of the route."`
	Died     time.Time `json:"died" doc:"When it became dead."`
	Enqueued time.Time `json:"enqueued" doc:"When its event was dispatched."`
	Type     string    `json:"type" doc:"Type of the event."`
	EventID  string    `json:"event_id" doc:"Id of the event."`
	Attempts int       `json:"attempts" doc:"Attempts made."`
	Reason   string    `json:"reason" doc:"Why it is dead."`
	Event    any       `json:"event,omitempty" ref:"Any" doc:"The event; absent if the right to see it is missing."`
}

type deadLetterPage struct {
	DeadLetters []deadLetterForm `json:"dead_letters" doc:"The dead letters, the earliest first."`
	Total       *int             `json:"total,omitempty" doc:"How many there are in all, whatever since says; absent if the queue cannot tell."`
	UpTo        int64            `json:"up_to" doc:"The greatest seq of the page; 0 = it is empty."`
	NextCursor  string           `json:"next_cursor,omitempty" doc:"Of the next page; absent on the last one."`
}

type selectionBody struct {
	IDs     []string  `json:"ids,omitempty" max:"1000" doc:"Ids of dead letters. Exactly one of ids, channel and all is given."`
	Channel string    `json:"channel,omitempty" doc:"All of a channel."`
	Since   time.Time `json:"since,omitempty" doc:"Those of the channel that died since then."`
	All     bool      `json:"all,omitempty" doc:"All of the tenant."`
	UpTo    int64     `json:"up_to,omitempty" doc:"The greatest seq that is meant; required with channel and all, so that a repeat takes nothing new."`
	DryRun  bool      `json:"dry_run,omitempty" doc:"Only count them."`
}

type countForm struct {
	Count int `json:"count" doc:"How many."`
}

func deadLetterEndpoints() []endpoint {
	change := func(word, summary string, do func(*Service, context.Context, By, DeadLetterSelection) (int, error)) endpoint {
		return endpoint{
			method: http.MethodPost, path: "/dead-letters/" + word, role: Operator, id: word + "DeadLetters", summary: summary, request: selectionBody{},
			answers: []answer{{http.StatusAccepted, countForm{}, "How many it was about."}},
			handle: func(c *call) (*reply, error) {
				var b selectionBody
				if err := c.body(256<<10, &b); err != nil {
					return nil, err
				}
				n, err := do(c.service, c.ctx(), c.by, DeadLetterSelection(b))
				return &reply{status: http.StatusAccepted, body: countForm{n}}, err
			},
		}
	}
	return []endpoint{
		{
			method: http.MethodGet, path: "/dead-letters", role: Viewer, id: "listDeadLetters", summary: "List deliveries that failed for good, the earliest first.",
			query:   append([]parameter{textParameter("channel", "Name of a channel."), timeParameter("since", "The earliest time of death.")}, pageParameters()...),
			answers: ok(deadLetterPage{}, "The dead letters."), handle: listDeadLetters,
		},
		change("redeliver", "Queue dead deliveries again.", (*Service).RedeliverDead),
		change("discard", "Remove dead deliveries for good.", (*Service).DiscardDead),
	}
}

func listDeadLetters(c *call) (*reply, error) {
	from, limit, err := c.page()
	if err != nil {
		return nil, err
	}
	q := DeadLetterQuery{Channel: c.text("channel"), After: from.Seq, Limit: limit + 1}
	if q.Since, err = c.time("since"); err != nil {
		return nil, err
	}
	letters, total, err := c.service.DeadLetters(c.ctx(), c.by.Tenant, q)
	if err != nil {
		return nil, err
	}
	out := deadLetterPage{DeadLetters: []deadLetterForm{}, Total: counted(total)}
	letters, out.NextCursor = cutPage(c, letters, limit, func(l dispatcher.DeadLetter) cursor { return cursor{Seq: l.Seq} })
	for _, l := range letters {
		out.DeadLetters, out.UpTo = append(out.DeadLetters, deadLetterOf(l, c.access.Payloads)), l.Seq
	}
	return &reply{status: http.StatusOK, body: out}, nil
}

func deadLetterOf(l dispatcher.DeadLetter, payloads bool) deadLetterForm {
	e := l.Delivery.Event
	f := deadLetterForm{l.ID, l.Seq, l.Delivery.Route.Name, l.At.UTC(), l.Enqueued.UTC(), string(e.Type()), e.ID(), l.Delivery.Attempt, l.Reason, nil}
	if payloads {
		f.Event = e.JSON()
	}
	return f
}
