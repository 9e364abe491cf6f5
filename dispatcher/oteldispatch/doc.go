// Package oteldispatch gives a dispatcher OpenTelemetry: traces from Dispatch to each attempt of each delivery, across
// the queue and across restarts, and metrics. Names follow the semantic conventions for messaging, version 1.43.0,
// which are in development; what they have no name for begins with "tocsin.".
//
// It depends on OpenTelemetry's API only. The host brings the SDK, or another implementation, and its exporters:
//
//	telemetry, err := oteldispatch.New(oteldispatch.Config{TracerProvider: tracers, MeterProvider: meters})
//	engine, err := dispatcher.New(dispatcher.Config{
//		Queue:     telemetry.Queue(nil), // or the durable one
//		Observers: []dispatcher.Observer{telemetry.Observer()},
//		Routes:    routes,
//	})
//	watch, err := telemetry.Watch(engine) // until watch.Unregister
//
// # Traces
//
//	dispatch <route>  producer  jobs are handed to the queue: Dispatch, Redeliver, and the schedule when it is due
//	schedule <lane>   producer  an event is handed to the queue for later
//	deliver <route>   consumer  one attempt of one delivery, or the decision not to make one
//
// A dispatch span is a child of the span of the context that Dispatch was given. Its name and its attributes have the
// route, or the event, if all its jobs have the same. Its trace context travels in the jobs' headers, so a durable
// queue stores it. Each deliver span is its child and links to it, whatever process it runs in and however much later;
// the attempts of a delivery are siblings. The channel gets the context of the deliver span, so an instrumented
// client's spans are its children, and so are the dispatch spans of a scheduled event. Requeued dead letters stay in
// their first trace. An event that no route wants leaves no span.
//
//	messaging.system                "tocsin"
//	messaging.operation.name        dispatch, schedule or deliver
//	messaging.operation.type        send or process
//	messaging.destination.name      the route
//	messaging.message.id            the delivery's id, which receivers see too (webhook-id)
//	messaging.batch.message_count   jobs of the call, if they are several
//	error.type                      see below
//	tocsin.event.type               for example request.approved
//	tocsin.event.id
//	tocsin.tenant                   with Config.Tenants, if the event has one
//	tocsin.route.tenant             with Config.Tenants, if the route has one
//	tocsin.delivery.attempt         1 for the first; without a verdict, the one that was not made
//	tocsin.delivery.redelivery      true if somebody delivered it again on purpose
//	tocsin.delivery.verdict         success, transient, permanent or postponed; absent when nothing was attempted
//	tocsin.delivery.skipped         true if dedup suppressed it
//	tocsin.delivery.outcome_unknown true if the destination may have acted although it gave no answer
//	tocsin.delivery.action          done, retry, postpone or dead
//	tocsin.delivery.retry_delay     seconds until the next attempt; absent = at once, or when the lane opens
//	tocsin.response.status          HTTP status or SMTP reply code
//
// The status of a span is Error when jobs could not be handed to the queue, when an attempt failed, and when a delivery
// became dead; the description repeats error.type. Postponed is no error.
//
// # Metrics
//
//	messaging.client.operation.duration  s           dispatch and schedule: operation, error.type
//	messaging.client.sent.messages       {message}   jobs: operation, route, event type, error.type
//	messaging.client.consumed.messages   {message}   attempts: operation, route, event type, error.type
//	messaging.process.duration           s           attempts: operation, route, event type, verdict, error.type
//	tocsin.dispatched                    {event}     accepted, by calls without an error: event type
//	tocsin.unrouted                      {event}     wanted by no route: event type, tocsin.reason
//	tocsin.settled                       {delivery}  ended: route, event type, tocsin.outcome
//	tocsin.route.queued                  {delivery}  gauge: wait, retries included: route
//	tocsin.route.in_flight               {delivery}  gauge: sends running now: route
//	tocsin.route.dead_letters            {delivery}  gauge: kept: route
//	tocsin.route.failing.duration        s           gauge: since the first failure after a success; 0 = none: route
//
// tocsin.reason is type, tenant or state (dispatcher.Reason); tocsin.outcome is delivered, skipped or dead.
//
// The attributes are those of the spans. The number of series is bounded by routes × event types × words of a fixed
// set: there is no id in them, and tenants (of the event and the route) only with Config.Tenants. Gauges that the queue
// cannot count are absent.
//
// Counters and gauges by route are of the routes in force, as the Observer learns of them: the series of a removed
// route are no longer reported, and a route that returns counts from 0. messaging.process.duration is a histogram, of
// which an SDK with cumulative temporality keeps every series up to its limit of cardinality (2,000 in Go's SDK, beyond
// which it reports one with otel.metric.overflow for all others). A host with more routes than that, or whose routes
// come and go, raises the limit, uses delta temporality, or removes messaging.destination.name and tocsin.route.tenant
// from that instrument by a view.
//
// # Error types
//
// error.type is one of: a status from 300 to 599 that HTTP or SMTP define, 3xx, 4xx or 5xx for other ones; gone, panic,
// timeout, canceled, untried (dead without an attempt), backlog, conflict; a netguard.Kind such as dns, blocked or
// tls_cert; or _OTHER.
//
// # What is never exported
//
// No attribute, name or status holds text of an error, an address or URL, or anything of an event but its type, its id
// and, when asked for, its tenant. That holds for channels of third parties too, because nothing they return is copied
// but the numbers and words above.
package oteldispatch
