package natsqueue

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// naming makes the names of streams, consumers and subjects from Config.Name. It belongs to the stored form: another
// naming needs another version.
//
//	<name>.ready.<lane>.job     jobs whose time has come, in the order stored
//	<name>.ready.<lane>.<key>   scheduled jobs whose time has come, so that Cancel finds them
//	<name>.later.<lane>.<job>.<attempt>.<slot>  jobs with a later time: a message schedule each
//	<name>.timed.<lane>.<key>.<number>.<slot>   scheduled jobs with a later time: a message schedule each
//	<name>.head.<lane>          attempts of the job that holds up a strict lane
//	<name>.dead.<lane>.<job>    dead letters, in a stream of their own
//	<name>.mark.<number>        scheduled jobs that were started or cancelled, in a stream of their own
//
// Only the subjects of message schedules have six tokens, and the last of them is the slot of their time: so those
// of a time are found without reading the others.
type naming string

func (n naming) jobs() string  { return string(n) + "-jobs" }
func (n naming) dead() string  { return string(n) + "-dead" }
func (n naming) marks() string { return string(n) + "-marks" }

func (n naming) subject(kind string, tokens ...string) string {
	var b strings.Builder
	b.WriteString(string(n))
	b.WriteByte('.')
	b.WriteString(kind)
	for _, t := range tokens {
		b.WriteByte('.')
		b.WriteString(t)
	}
	return b.String()
}

// timedOf is where the jobs of a key wait for their time, given where they are from then on.
func (n naming) timedOf(ready string) string {
	return n.subject(kindTimed, strings.TrimPrefix(ready, n.subject(kindReady)+"."))
}

// The kinds of subjects.
const (
	kindReady = "ready"
	kindLater = "later"
	kindTimed = "timed"
	kindHead  = "head"
	kindDead  = "dead"
	kindMark  = "mark"
)

const (
	plainJob = "job" // the last token of a job that no key names; shorter than any digest
	anything = "*"
	allBelow = ">"
)

// slotLength is how long a slot of time is.
const slotLength = 10 * time.Second

// slotOf numbers the slot a time lies in.
func slotOf(at time.Time) int64 { return at.Unix() / int64(slotLength/time.Second) }

// slotToken is the last token of the subjects of schedules in a slot.
func slotToken(slot int64) string { return strconv.FormatInt(slot, 10) }

// slotIn is the slot in the subject of a schedule.
func slotIn(subject string) (int64, error) {
	return strconv.ParseInt(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
}

// schedules is the filter for the message schedules of a lane in a slot; either may be anything.
func (n naming) schedules(lane, slot string) string {
	return string(n) + "." + anything + "." + lane + "." + anything + "." + anything + "." + slot
}

// longestConsumer keeps the names of consumers, which are files at the server, well below its limit of 255.
const longestConsumer = 120

// consumerName names the consumer of a lane.
func consumerName(token string) string {
	if len(token) <= longestConsumer {
		return token
	}
	return "=h" + digest(token)
}

const hexDigits = "0123456789ABCDEF"

// token writes a name as one token of a subject: letters, digits, "-" and "_" as they are, every other byte as "="
// and two hexadecimal digits, the empty name as "=".
func token(name string) string {
	if name == "" {
		return "="
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if isPlain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

var errToken = errors.New("not a token this package writes")

// untoken is the inverse of token. It takes nothing that token does not write, so a name has one token.
func untoken(t string) (string, error) {
	if t == "=" {
		return "", nil
	}
	var b []byte
	for i := 0; i < len(t); i++ {
		if t[i] != '=' {
			b = append(b, t[i])
			continue
		}
		var one [1]byte
		if i+2 >= len(t) {
			return "", errToken
		}
		if _, err := hex.Decode(one[:], []byte(t[i+1:i+3])); err != nil {
			return "", errToken
		}
		b = append(b, one[0])
		i += 2
	}
	if name := string(b); token(name) == t {
		return name, nil
	}
	return "", errToken
}

// laneOf is the lane in the third token of a subject of this package.
func laneOf(subject string) (string, error) {
	parts := strings.SplitN(subject, ".", 4)
	if len(parts) < 3 {
		return "", errToken
	}
	return untoken(parts[2])
}

// digest shortens a key or an id to a token of 24 characters: 144 bits of SHA-256.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}
