package event

import (
	"strconv"
	"strings"
	"time"
)

// Timestamp is an instant as payloads carry it: a JSON number of seconds since 1970 with nine fraction digits, for
// example 1696263265.851898000, negative before 1970. It never passes through a float64, so no digit is lost. Instants
// in the years 1 to 9999 can be encoded. The zero Timestamp, the first instant of year 1, means "none": it is null, or
// absent with the omitzero tag. Decoded timestamps are in UTC.
type Timestamp struct{ time.Time }

// At returns t as a Timestamp, in UTC and without a monotonic clock reading.
func At(t time.Time) Timestamp { return Timestamp{t.UTC()} }

const (
	firstSecond = -62135596800 // 0001-01-01T00:00:00Z
	lastSecond  = 253402300799 // 9999-12-31T23:59:59Z
)

func inRange(second int64) bool { return second >= firstSecond && second <= lastSecond }

// MarshalJSON returns the number, or null for the zero Timestamp.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	if !inRange(t.Unix()) {
		return nil, &InvalidError{Field: "timestamp", Problem: "is outside the years 1 to 9999", Remedy: "correct it"}
	}
	return appendEpoch(make([]byte, 0, 24), t.Time), nil
}

// UnmarshalJSON reads a number with at most nine fraction digits. Null leaves t unchanged, as is the custom.
// Exponents, strings and years beyond 9999 are an [*InvalidError].
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	parsed, err := parseEpoch("timestamp", s)
	if err != nil {
		return err
	}
	t.Time = parsed
	return nil
}

// appendEpoch appends t, which is in the years 1 to 9999, as seconds since 1970.
func appendEpoch(b []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), t.Nanosecond()
	if sec < 0 {
		// time counts nanoseconds upwards from a second rounded down; the number counts them away from zero.
		b = append(b, '-')
		if sec = -sec; nsec > 0 {
			sec, nsec = sec-1, 1e9-nsec
		}
	}
	b = strconv.AppendInt(b, sec, 10)
	b = append(b, '.')
	for div := 100_000_000; div > 0; div /= 10 {
		b = append(b, byte('0'+nsec/div%10))
	}
	return b
}

// parseEpoch reads the JSON number s; errors name the field.
func parseEpoch(field, s string) (time.Time, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	switch {
	case strings.ContainsAny(s, "eE") && strings.Trim(s, "0123456789+-.eE") == "":
		return time.Time{}, &InvalidError{Field: field, Problem: "has an exponent", Remedy: "write all digits of the epoch seconds"}
	case !isDigits(whole) || len(whole) > 1 && whole[0] == '0' || dotted && !isDigits(fraction):
		return time.Time{}, &InvalidError{Field: field, Problem: "is not a number", Remedy: "write epoch seconds as a JSON number"}
	case len(fraction) > 9:
		return time.Time{}, &InvalidError{Field: field, Problem: "has more than nine fraction digits", Remedy: "round it to nanoseconds"}
	}
	sec, err := strconv.ParseInt(whole, 10, 64)
	nsec, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if negative {
		sec, nsec = -sec, -nsec
	}
	t := time.Unix(sec, nsec).UTC()
	if err != nil || !inRange(t.Unix()) {
		return time.Time{}, &InvalidError{Field: field, Problem: "is outside the years 1 to 9999", Remedy: "write seconds, not milliseconds"}
	}
	return t, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
