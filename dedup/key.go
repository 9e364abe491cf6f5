package dedup

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Key makes a key of parts: SHA-256 over each part preceded by its length, as 43 characters of unpadded base64url.
//
// Different lists of parts give different keys: bytes cannot move from one part to the next unnoticed, and an empty
// part counts. The same parts give the same key in every process and release, so keys can be stored and shared.
func Key(parts ...[]byte) string {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0]))
}
