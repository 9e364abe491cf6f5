// Package natsqueue is a queue.Queue on NATS JetStream, for hosts that outgrow one process.
package natsqueue
