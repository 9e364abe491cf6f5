// Package natsdedup keeps the keys of package dedup in a JetStream key-value bucket, so that a route's window holds
// across all workers: what one has delivered, another does not.
//
// Each claim and commit is one confirmed write that succeeds only if the key is as it was last seen. Leases and
// windows are judged by the clocks of the processes, which therefore must agree to well within a lease; the servers
// remove a key a second or two after its time. A key is stored as its SHA-256, never as it is.
//
// A bucket that somebody else made is refused and left as it is.
//
// With Replicas 3 the keys survive the loss of a server; they are kept in files, with the same limits as package
// natsqueue describes.
package natsdedup
