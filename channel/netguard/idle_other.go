//go:build !unix

package netguard

// nothingToRead cannot ask the socket here, so that no connection is used a second time: slower, and never wrong.
func nothingToRead(uintptr) bool { return false }
