package email

import (
	"net/textproto"
	"strconv"
	"strings"
)

// reply is what a relay said. Msg is its text, of one or more lines; it may repeat anything that was sent.
type reply textproto.Error

func (r reply) transient() bool { return r.Code >= 400 && r.Code <= 499 }

// unauthorized tells whether the relay wants other credentials (RFC 4954 section 6).
func (r reply) unauthorized() bool {
	return r.Code == 530 || r.Code == 534 || r.Code == 535 || r.Code == 538
}

// enhanced returns the status code of RFC 3463, such as 5.1.1, that most relays begin their text with, or "".
func (r reply) enhanced() string {
	end := strings.IndexAny(r.Msg, " \n")
	if end < 0 {
		end = len(r.Msg)
	}
	code := r.Msg[:end]
	parts := strings.Split(code, ".")
	if len(parts) != 3 || parts[0] != "2" && parts[0] != "4" && parts[0] != "5" {
		return ""
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return code
}

// status is the code and the enhanced code.
func status(code int, enhanced string) string {
	if enhanced == "" {
		return strconv.Itoa(code)
	}
	return strconv.Itoa(code) + " " + enhanced
}
