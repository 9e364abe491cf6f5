package template

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// date formats a time in UTC: epoch seconds with a fraction, or RFC 3339. The layout is Go's, RFC 3339 by default.
// What is no time is returned as it is.
func date(m *machine, args []any) any {
	text, ok := scalarText(args[0])
	if !ok {
		return args[0]
	}
	t, ok := parseTime(text)
	if !ok {
		return args[0]
	}
	layout := time.RFC3339
	if len(args) > 1 {
		if l, ok := scalarText(args[1]); ok && l != "" {
			layout = l
		}
	}
	if !m.pay(len(layout)) {
		return nil
	}
	return m.made(t.UTC().Format(layout))
}

// seconds gives a time in whole seconds since 1970, those of the instant rounded down. What is no time is returned as
// it is.
func seconds(_ *machine, args []any) any {
	text, ok := scalarText(args[0])
	if !ok {
		return args[0]
	}
	t, ok := parseTime(text)
	if !ok {
		return args[0]
	}
	return json.Number(strconv.FormatInt(t.Unix(), 10))
}

// longestTime is longer than any text that is a time.
const longestTime = 64

// parseTime reads epoch seconds without a float: all nine digits of a fraction count.
func parseTime(s string) (time.Time, bool) {
	if s == "" || len(s) > longestTime {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds < -1e11 || seconds > 1e12 {
		return time.Time{}, false
	}
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	nanos, err := strconv.ParseUint("0"+fraction+strings.Repeat("0", 9-len(fraction)), 10, 63)
	if err != nil {
		return time.Time{}, false
	}
	if strings.HasPrefix(whole, "-") {
		return time.Unix(seconds, -int64(nanos)), true
	}
	return time.Unix(seconds, int64(nanos)), true
}
