// Package peerbench measures sqlitequeue beside plain SQLite and River on SQLite, in one run, because only ratios of one
// run on one machine say anything:
//
//	go test -run '^$' -bench . -benchtime 20000x
//
// It is a module of its own, outside the workspace, because nobody else needs River.
package peerbench
