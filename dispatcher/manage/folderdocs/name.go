package folderdocs

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// A document's file is named by small letters and digits, because some file systems ignore case and some programs and
// systems refuse other characters: the tenant in base32 behind "t-", or for a long one its SHA-256 behind "h-", since a
// name may have 255 bytes, and 143 where file names are encrypted. No device of Windows is called so.
const (
	plainPrefix = "t-"
	hashPrefix  = "h-"
	suffix      = ".document"
	longest     = 70 // bytes of a tenant that is in the name
)

//nolint:gochecknoglobals // read-only
var base32Small = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// nameOf is the name of a tenant's file.
func nameOf(tenant string) string {
	if len(tenant) <= longest {
		return plainPrefix + base32Small.EncodeToString([]byte(tenant)) + suffix
	}
	digest := sha256.Sum256([]byte(tenant))
	return hashPrefix + base32Small.EncodeToString(digest[:]) + suffix
}

// tenantOf is the tenant that a file is named by. whole is false for a long one, which is in the file only. ok is false
// for a file that is no document by its name.
func tenantOf(name string) (tenant string, whole, ok bool) {
	base, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return "", false, false
	}
	if strings.HasPrefix(base, hashPrefix) {
		return "", false, len(base) == len(hashPrefix)+base32Small.EncodedLen(sha256.Size)
	}
	coded, ok := strings.CutPrefix(base, plainPrefix)
	b, err := base32Small.DecodeString(coded)
	if !ok || err != nil || len(b) == 0 || nameOf(string(b)) != name { // two codes may stand for the same bytes
		return "", false, false
	}
	return string(b), true, true
}
