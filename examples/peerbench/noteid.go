package main

import "strconv"

const notePrefix = "note-"

// noteID is the id of event number n.
func noteID(n int) string { return notePrefix + strconv.Itoa(n) }

// noteNumber is the number in an id that noteID made.
func noteNumber(id string) (int, error) { return strconv.Atoi(id[len(notePrefix):]) }
