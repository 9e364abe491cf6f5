package notice

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/event"
)

// ofHost describes an event of which only the form is known.
func ofHost(e event.Event) Notice {
	n := Notice{LinkText: "Open"}
	n.Title = headed(words(string(e.Type())), line(e.Subject(), maxName))
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
		switch label := words(key); {
		case label == "" || len(n.Facts) == maxFacts-closing:
		case !t.IsZero():
			n.addTime(label, t.Time)
		case strings.Contains(text, "\n") || utf8.RuneCountInString(text) > maxName:
			n.addLong(label, text)
		default:
			n.add(label, text)
		}
	})
	return n
}

// scalars calls f for every plain value of the object data, in the order it stands there. Lists, objects and null are
// passed over.
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

// isTimestamp tells whether a number is written as [event.Timestamp] writes instants since 1973: nine fraction digits
// behind nine or more. No float64 has as many digits, so a measured value, such as 0.123456789, is not one by accident.
// An earlier instant is shown as the number that it is.
func isTimestamp(number string) bool {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	return len(fraction) == 9 && len(whole) >= 9
}

// words makes a label of a name in a program: "vault.key_rotated" is "Vault key rotated".
func words(id string) string {
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
