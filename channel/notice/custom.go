package notice

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/event"
)

// customNotice describes an event of which only the form is known.
func customNotice(e event.Event) Notice {
	n := Notice{LinkText: "Open"}
	n.Title = withHeading(label(string(e.Type())), line(e.Subject(), maxName))
	if n.Title == "" {
		n.Title = "No event" // the zero Event
	}
	n.Summary = sentence("Event", string(e.Type()), before("about", line(e.Subject(), maxName)))
	n.add("Event", string(e.Type()))
	n.add("About", e.Subject())
	scalars(e.Data(), func(key, text string, t event.Timestamp) {
		if (key == "url" || key == "link") && n.Link == "" {
			if n.Link = link(text); n.Link != "" {
				return
			}
		}
		switch name := label(key); {
		case name == "" || len(n.Facts) == maxFacts-closingFacts:
		case !t.IsZero():
			n.addTime(name, t.Time)
		case strings.Contains(text, "\n") || utf8.RuneCountInString(text) > maxName:
			n.addLong(name, text)
		default:
			n.add(name, text)
		}
	})
	return n
}

// scalars calls f for every text, number and boolean of the object data, in its order, and skips the rest.
func scalars(data []byte, f func(key, text string, t event.Timestamp)) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return
		}
		text, t := scalar(value)
		f(key.(string), text, t)
	}
}

// scalar reads one value; "" when it is not a plain one. It also returns the instant that a number stands for.
func scalar(value json.RawMessage) (text string, t event.Timestamp) {
	switch value[0] {
	case '"':
		_ = json.Unmarshal(value, &text) // cannot fail: it is a JSON string
	case 't':
		text = "Yes"
	case 'f':
		text = "No"
	case '{', '[', 'n':
	default:
		text = string(value)
		if isTimestamp(text) && t.UnmarshalJSON(value) != nil {
			t = event.Timestamp{}
		}
	}
	return text, t
}

// isTimestamp reports whether a number is written as [event.Timestamp] writes instants since 1973: nine fraction digits
// behind nine or more. No float64 has as many digits, so a measured value, such as 0.123456789, is not one by accident.
// An earlier instant is shown as the number that it is.
func isTimestamp(number string) bool {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	return len(fraction) == 9 && len(whole) >= 9
}

// label makes a label of an identifier: "vault.key_rotated" is "Vault key rotated".
func label(id string) string {
	s := line(strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' {
			return ' '
		}
		return r
	}, id), maxLabel)
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[size:]
}
