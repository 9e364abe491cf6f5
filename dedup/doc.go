// Package dedup suppresses repeats of work that has already succeeded.
//
// A key is claimed before the work and committed after it. Marking a key before the work, in one step, would lose
// the message whose first attempt fails: its retry would look like a repeat. Here a failure releases the claim, so
// it suppresses neither its own retry nor a later identical message.
//
// [Once] does the whole exchange around a function, [Key] makes keys, [Memory] is a [Store] for one process.
// Package deduptest has the conformance suite for other stores.
package dedup
