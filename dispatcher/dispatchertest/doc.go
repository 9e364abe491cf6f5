// Package dispatchertest lets a product test what it dispatches and schedules, without an Engine, a network or a clock.
//
//	rec := new(dispatchertest.Recorder)
//	service := NewService(rec, rec) // a dispatcher.Dispatcher and a dispatcher.Scheduler
//	service.Revoke(ctx, "grant-7", "left the team")
//	revoked := dispatchertest.Require[event.GrantRevoked](t, rec)
//	// compare the fields of revoked with what the service received
//	dispatchertest.RequireCancelled(t, rec, "expiring/grant-7")
//
// What arrives at a destination is tested with the fakes of package channeltest and the packages below it.
package dispatchertest
