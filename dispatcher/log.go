package dispatcher

// Attributes of the log lines of this package and those below it. They are stable: filters and alerts may rely on them.
// Every message begins with "tocsin: " and is constant. No line holds anything of an event's payload, a credential, or
// the path of a URL; AttrError and AttrReason are the words of errors, for which channels promise the same.
//
//   - Error: a delivery is dead; a destination is gone, or failed for too long; a fallback did not take a dead
//     delivery; a scheduled event cannot be dispatched; an observer panicked.
//   - Warn: a breaker opened; a dead delivery waits for its fallback; the dedup store fails; a scheduled event waits
//     for room; events were queued for a minute and Run was not called (Info if the queue is durable); an alert could
//     not be dispatched, or was lost; what waits for failing routes could not be counted; the history loses entries,
//     or old ones cannot be removed.
//   - Info: a breaker closed; no route wants an event, at most once a minute.
//   - Debug: an attempt failed.
const (
	AttrRoute     = "route"          // name of the route
	AttrTenant    = "tenant"         // of the route; of the event, if no route wants it
	AttrEventID   = "event_id"       // id of the event
	AttrEventType = "event_type"     // type of the event
	AttrAttempt   = "attempt"        // number of the attempt, from 1
	AttrAttempts  = "attempts"       // made in all
	AttrVerdict   = "verdict"        // on the attempt: transient, permanent, postponed
	AttrNext      = "next"           // pause until the next attempt
	AttrPause     = "pause"          // of an open breaker
	AttrFallback  = "fallback"       // name of the route that was to take a dead delivery
	AttrReason    = "reason"         // why, in words
	AttrError     = "error"          // text of the error
	AttrHook      = "hook"           // which function of an Observer
	AttrUnrouted  = "unrouted_total" // events no route wanted so far
	AttrLost      = "lost_total"     // entries of the history, or alerts, that could not be kept so far
)
