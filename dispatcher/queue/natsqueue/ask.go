package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// ask is what one process asks another, which owns a lane.
type ask struct {
	Op     string `json:"op"`
	Lane   string `json:"lane"` // token
	Worker string `json:"worker,omitempty"`
	Busy   int64  `json:"busy,omitempty"`
}

const (
	opYield = "yield" // let Worker have the lane, which has so many lanes to do; there is no answer
	opCount = "count"
	opPurge = "purge"
)

// reply is the answer.
type reply struct {
	Running int    `json:"running,omitempty"` // jobs of the lane
	Purged  int    `json:"purged,omitempty"`  // of these, or for opPurge of those that waited, messages that were removed
	Error   string `json:"error,omitempty"`
}

// askSubject is where a worker's process is asked.
func (q *Queue) askSubject(worker string) string {
	process, _, _ := strings.Cut(worker, "_")
	return q.names.subject(kindAsk, process)
}

// ask sends a request without an answer.
func (q *Queue) ask(worker string, a ask) {
	body, err := json.Marshal(a)
	if err != nil || worker == "" {
		return
	}
	_ = q.nc.Publish(q.askSubject(worker), body)
}

// request sends a request and waits for the answer.
func (q *Queue) request(ctx context.Context, worker string, a ask) (reply, error) {
	var r reply
	body, err := json.Marshal(a)
	if err != nil {
		return r, err
	}
	msg, err := jsapi.Once(ctx, func(ctx context.Context) (*nats.Msg, error) {
		return q.nc.RequestWithContext(ctx, q.askSubject(worker), body)
	})
	if err == nil {
		err = json.Unmarshal(msg.Data, &r)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, err
}

// answer does what another process asks.
func (q *Queue) answer(m *nats.Msg) {
	var a ask
	if json.Unmarshal(m.Data, &a) != nil {
		return
	}
	l := q.byToken(a.Lane)
	switch a.Op {
	case opYield:
		if l != nil {
			l.want(a.Worker, a.Busy)
		}
	case opCount:
		running, purged := q.countHere(a.Lane)
		q.reply(m, reply{Running: running, Purged: purged})
	case opPurge:
		go func() {
			ctx, cancel := q.bounded(q.ctx)
			defer cancel()
			n, owner, err := q.purgeHere(ctx, a.Lane)
			r := reply{Purged: n}
			switch {
			case err != nil:
				r.Error = err.Error()
			case owner != "":
				r.Error = "the lane has another owner"
			}
			q.reply(m, r)
		}()
	}
}

func (q *Queue) reply(m *nats.Msg, r reply) {
	if body, err := json.Marshal(r); err == nil {
		_ = m.Respond(body)
	}
}
