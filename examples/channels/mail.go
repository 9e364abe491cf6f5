package main

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"

	"github.com/tocsin-go/tocsin/examples/internal/relay"
)

// mail is a mail that was opened, as a mail program does.
type mail struct {
	relay.Envelope
	header     netmail.Header
	text, html string
}

// open reads the header and the two forms of the text.
func open(e relay.Envelope) (mail, error) {
	m := mail{Envelope: e}
	message, err := netmail.ReadMessage(strings.NewReader(e.Data))
	if err != nil {
		return m, fmt.Errorf("this is no mail: %w", err)
	}
	m.header = message.Header
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return m, fmt.Errorf("this is no mail in two forms: %q, %w", kind, err)
	}
	for parts := multipart.NewReader(message.Body, params["boundary"]); ; {
		p, err := parts.NextPart() // which undoes quoted-printable
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return m, err
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			m.text = string(b)
		case "text/html":
			m.html = string(b)
		}
	}
}

// get returns a field of the header in readable form.
func (m mail) get(name string) string {
	value := m.header.Get(name)
	if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
		return decoded
	}
	return value
}
