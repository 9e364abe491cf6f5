package email

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/tocsin-go/tocsin/event"
)

// threadID names the thread of an event's subject; "" = the event has none, or is a test. It is the id of a message
// that does not exist, to which all of the thread refer: nothing need be remembered, and it does not matter which of
// them arrives first. It is a digest, because a subject may be anything, and a tenant's name is nobody else's business.
func threadID(e event.Event, domain string) string {
	if e.Subject() == "" || e.IsTest() { // a test does not join what is real
		return ""
	}
	sum := sha256.Sum256([]byte(strconv.Quote(e.Tenant()) + strconv.Quote(e.Subject())))
	return "thread." + hex.EncodeToString(sum[:16]) + "@" + domain
}
