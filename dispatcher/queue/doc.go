// Package queue defines where deliveries wait: jobs in lanes, one lane per route, each with its own backlog, order and
// concurrency. [Memory] is the queue of a single process; durable ones are modules of their own and pass the same
// conformance suite, package queuetest.
package queue
