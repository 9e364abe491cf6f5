package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// CorrelationID names what e is about, for destinations that update, group or close what they were sent before: the
// same text for all events of one subject of one tenant, and never the same for two subjects or two tenants, whatever
// these are called. An event without a subject, and each test event, has one of its own. The zero Event has none.
//
// It reads "tenant/subject", or "subject" without a tenant, in visible ASCII: every other character, and "/", "%" and
// "~" of a name, are percent-encoded. A digest behind a "~" takes the place of the rest of one that is longer than size
// bytes; size is at least 40. The digest also follows a tenant with upper-case letters, because some destinations
// ignore case.
func (e Event) CorrelationID(size int) string {
	if e.p == nil {
		return ""
	}
	tenant := escapeName(e.p.meta.Tenant)
	subject := escapeName(e.p.meta.Subject)
	if e.p.test || subject == "" {
		subject = "/" + e.p.meta.ID // which no encoded subject is
	}
	id := subject
	if tenant != "" || subject[0] == '/' {
		id = tenant + "/" + subject
	}
	if len(id) <= size && tenant == strings.ToLower(tenant) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	digest := "~" + hex.EncodeToString(sum[:16])
	return id[:max(min(len(id), size-len(digest)), 0)] + digest
}

// escapeName percent-encodes what would end a name of a correlation id, or is not visible ASCII.
func escapeName(s string) string {
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '/' || c == '%' || c == '~' {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
