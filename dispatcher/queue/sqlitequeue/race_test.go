//go:build race

package sqlitequeue

const raceEnabled = true
