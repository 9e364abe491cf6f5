// Package sqlitequeue is a durable queue in a file: what Dispatch has acknowledged outlasts a crash of the process and a
// power cut, without a server beside the program and without cgo.
package sqlitequeue
