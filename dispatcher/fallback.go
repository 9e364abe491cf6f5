package dispatcher

import (
	"context"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// fallBack gives a delivery that died to the route's fallback, if it has one. What stands in the way is logged: the
// delivery is a dead letter already.
func (l *lane) fallBack(d channel.Delivery) {
	b := l.current.Load()
	if b == nil || b.Protect.Fallback == "" {
		return
	}
	e := l.engine
	to := e.index.Load().named[b.Protect.Fallback]
	problem := "does not exist"
	if to != nil {
		problem = to.unfit(d.Event)
	}
	if problem == "" {
		e.fallbacks.Add(1)
		// The context of an attempt may have ended, and the delivery is over: this is the last chance to pass it on.
		err := e.enqueue(context.Background(), []queue.Job{to.job(d.Event, d.Generation)})
		if err == nil {
			return
		}
		problem = err.Error()
	}
	e.log.Error("tocsin: the fallback does not take a dead delivery", AttrRoute, l.name, AttrFallback, b.Protect.Fallback,
		AttrEventID, d.Event.ID(), AttrReason, problem)
}
