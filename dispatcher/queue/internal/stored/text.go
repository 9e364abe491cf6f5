// Package stored has the binary forms that queues with a store share. What they wrote is read for ever.
package stored

import "encoding/binary"

// AppendText appends s with its length in front.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Key keeps the parts apart, whatever is in them.
func Key(parts ...string) (b []byte) {
	for _, part := range parts {
		b = AppendText(b, part)
	}
	return b
}

// CutNumber takes a number off the front of b.
func CutNumber(b *[]byte) (uint64, bool) {
	n, size := binary.Uvarint(*b)
	if size <= 0 {
		return 0, false
	}
	*b = (*b)[size:]
	return n, true
}

// CutText takes off the front of b what AppendText appended.
func CutText(b *[]byte) (string, bool) {
	n, ok := CutNumber(b)
	if !ok || n > uint64(len(*b)) {
		return "", false
	}
	s := string((*b)[:n])
	*b = (*b)[n:]
	return s, true
}
