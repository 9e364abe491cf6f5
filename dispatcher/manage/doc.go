// Package manage lets tenants manage their channels while events go out: it keeps their configuration documents in a
// store, changes them channel by channel, and has them in force in an Engine of its own, in any number of processes.
//
//	sealer, err := manage.NewKeys("2026-11", keys) // which encrypt what is stored
//	service, err := manage.New(ctx, manage.Options{Documents: documents, Sealer: sealer})
//	api, err := service.Handler(manage.HandlerOptions{Access: access}) // who asks, and what they may do
//	go service.Run(ctx)
//	err = service.Dispatch(ctx, event)
//	err = service.Shutdown(ctx)
//
// A [Service] owns Engine, queue, history and health monitor, and their order of start and shutdown. Its methods are
// for Go; [Service.Handler] offers the same as a JSON API, which openapi.json describes.
//
// # The way of a change
//
// A change reads the document, edits one channel, checks everything, stores the document if nobody else was faster,
// puts it in force, and only then answers. Who was slower tries again, up to five times, for as long as the channel has
// the ETag that was given: changes of other channels do not disturb. What is stored but not in force in this process is
// answered as such. Other processes follow by [Documents].Watch, and compare all they have every 30 seconds.
//
// Each change is stored together with what it is about, and then dispatched as an event (event.ConfigChange): by the
// process that made it or, if that dies in between, by the next one that starts. A change is told if and only if it is
// stored; it may be told twice, with the same event id.
//
// # What cannot be used
//
// No tenant stops the start, or another tenant. A channel that cannot be made any more has its routes paused, so that
// its events wait; the tenant's other channels run. Of a document that cannot be read, the last one that could stays in
// force; without one, the tenant's events are held and dispatched again once it can. Neither is overwritten by a
// change.
//
// # Secrets
//
// Nothing shows a stored secret: not a channel, an error, a difference or a test. A secret that is generated is shown
// once. Stored ones are kept for the same destination only, by every way of changing something (config.Load).
//
// # Stores
//
// [Documents] is the contract of a store, and package managetest checks one. [Memory] is in this package, folderdocs
// and postgresdocs are below it, and those of SQLite and NATS stand beside their queues. [Sealed] encrypts what a store
// keeps, which a Service does by itself.
package manage
