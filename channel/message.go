package channel

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

// Message is one direction of an exchange, redacted. In JSON a body is body_text if it is text in UTF-8, and otherwise
// body_base64; of a truncated text, the part of a character at its end is left out. UnmarshalJSON also reads the field
// body of earlier versions, which is base64.
type Message struct {
	Start  string      // request line or status line, e.g. "POST https://hooks.example" or "200 OK"
	Header http.Header // nil = none kept
	// Body is capped and decoded from any Content-Encoding in Header. It must not be modified: it may share memory with
	// the event.
	Body      []byte
	Truncated bool // Body is only the beginning
}

// messageJSON is the JSON form of a Message.
type messageJSON struct {
	Start     string      `json:"start"`
	Header    http.Header `json:"header,omitempty"`
	Text      string      `json:"body_text,omitempty"`
	Base64    []byte      `json:"body_base64,omitempty"`
	Earlier   []byte      `json:"body,omitempty"`
	Truncated bool        `json:"truncated,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (m Message) MarshalJSON() ([]byte, error) {
	form := messageJSON{Start: m.Start, Header: m.Header, Truncated: m.Truncated}
	text := m.Body
	if m.Truncated {
		text = wholeCharacters(text)
	}
	if utf8.Valid(text) {
		form.Text = string(text)
	} else {
		form.Base64 = m.Body
	}
	return json.Marshal(form)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Message) UnmarshalJSON(text []byte) error {
	var form messageJSON
	if err := json.Unmarshal(text, &form); err != nil {
		return err
	}
	*m = Message{Start: form.Start, Header: form.Header, Body: form.Base64, Truncated: form.Truncated}
	switch {
	case form.Text != "":
		m.Body = []byte(form.Text)
	case form.Earlier != nil:
		m.Body = form.Earlier
	}
	return nil
}

// wholeCharacters returns text without the first bytes of a character that was cut off at its end.
func wholeCharacters(text []byte) []byte {
	for i := len(text) - 1; i >= max(len(text)-utf8.UTFMax, 0); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}
