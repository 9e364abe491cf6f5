package event

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Meta is what is known about an event besides its payload. The zero Meta is valid. Source, Tenant and Subject are at
// most 255 characters of UTF-8, none of them a control character: they are identifiers, and one that is longer is an
// error.
type Meta struct {
	// ID identifies the event in every delivery: 1 to 100 letters, digits, '-' and '_' (no dots, because receivers sign
	// "id.timestamp.body"). Empty means a new UUIDv7.
	ID string
	// Source says where the event comes from, for example the product's address. Empty means the dispatcher's default.
	Source string
	// Tenant is the customer the event belongs to. Empty means that it belongs to none.
	Tenant string
	// Subject is what the event is about, for example a request's id: the key for correlation, order and threads.
	// Empty means what the payload says, see [Subjecter].
	Subject string
	// Time is when it happened, in the years 1 to 9999. Zero means now.
	Time time.Time
	// Attributes are further facts for routing and payloads, such as custom fields, never secrets. At most 64, together
	// with those of the payload (see [Attributer]). Names are 1 to 64 letters, digits, '_', '.' and '-'. Values are
	// free text: what is longer than 1,024 bytes is cut, and bytes that are not UTF-8 become U+FFFD.
	Attributes map[string]string
}

const (
	maxIDLength       = 100
	maxTextLength     = 255
	maxAttributes     = 64
	maxAttributeName  = 64
	maxAttributeValue = 1024
)

type attribute struct{ name, value string }

// Validate reports the first field that breaks its limits as an [*InvalidError]. It is nil when [New] would take m with
// a payload that adds nothing to it.
func (m Meta) Validate() error {
	_, _, err := m.validate()
	return err
}

// validate returns the attributes, sorted by name and with their values cut, and the names of those that had to be cut;
// or the first error.
func (m Meta) validate() (attrs []attribute, cut []string, err error) {
	if m.ID != "" {
		if err := validateID(m.ID); err != nil {
			return nil, nil, err
		}
	}
	if !m.Time.IsZero() && !inRange(m.Time.Unix()) {
		return nil, nil, &InvalidError{Field: "time", Problem: "is outside the years 1 to 9999", Remedy: "correct it, or leave it zero for now"}
	}
	for _, f := range [...]struct{ name, value string }{{"source", m.Source}, {"tenant", m.Tenant}, {"subject", m.Subject}} {
		if err := validateText(f.name, f.value); err != nil {
			return nil, nil, err
		}
	}
	return validateAttributes(m.Attributes)
}

func validateID(id string) error {
	if len(id) > maxIDLength {
		return &InvalidError{Field: "id", Problem: "is longer than 100 characters", Remedy: "shorten or hash it"}
	}
	for i := range len(id) {
		if c := id[i]; !isAlphanumeric(c) && c != '-' && c != '_' {
			return &InvalidError{Field: "id", Problem: "holds a character other than letters, digits, '-' and '_'", Remedy: "replace it"}
		}
	}
	return nil
}

func validateText(field, s string) error {
	if utf8.RuneCountInString(s) > maxTextLength {
		return &InvalidError{Field: field, Problem: "is longer than 255 characters", Remedy: "shorten or hash it"}
	}
	if !utf8.ValidString(s) {
		return &InvalidError{Field: field, Problem: "is not valid UTF-8", Remedy: "convert it"}
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return &InvalidError{Field: field, Problem: "holds a control character", Remedy: "remove it"}
		}
	}
	return nil
}

func validateAttributes(given map[string]string) (list []attribute, cut []string, err error) {
	if len(given) == 0 {
		return nil, nil, nil
	}
	if len(given) > maxAttributes {
		return nil, nil, &InvalidError{Field: "attributes", Problem: "are more than 64", Remedy: "move some into the payload"}
	}
	list = make([]attribute, 0, len(given))
	for name, value := range given {
		list = append(list, attribute{name, value})
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	for i, a := range list {
		if !validAttributeName(a.name) {
			return nil, nil, &InvalidError{
				Field:   "attributes",
				Problem: "have a name that is not 1 to 64 letters, digits, '_', '.' and '-'",
				Remedy:  "rename it",
			}
		}
		value := strings.ToValidUTF8(a.value, "\uFFFD")
		if len(value) > maxAttributeValue {
			cut = append(cut, "attributes."+a.name)
		}
		list[i].value = shortenText(value, maxAttributeValue)
	}
	return list, cut, nil
}

func validAttributeName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= maxAttributeName
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

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
