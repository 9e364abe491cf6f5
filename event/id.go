package event

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// newID returns a new UUID of version 7.
func newID(now time.Time) string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return uuid7(now, b)
}

// uuid7 returns the UUID of version 7 (RFC 9562, section 5.7) with the milliseconds since 1970 of t and, for the rest,
// the bits of b. Ids made later sort later, so they fill a database index from one side.
func uuid7(t time.Time, b [16]byte) string {
	ms := t.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70 // version 7
	b[8] = b[8]&0x3f | 0x80 // the RFC's variant
	var s [36]byte
	hex.Encode(s[0:], b[0:4])
	hex.Encode(s[9:], b[4:6])
	hex.Encode(s[14:], b[6:8])
	hex.Encode(s[19:], b[8:10])
	hex.Encode(s[24:], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
