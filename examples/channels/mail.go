package main

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"

	"github.com/tocsin-go/tocsin/examples/internal/relay"
)

// letter is a mail that was opened, as a mail program does.
type letter struct {
	relay.Envelope
	header     mail.Header
	text, html string
}

// open reads the header and the two forms of the text.
func open(e relay.Envelope) (letter, error) {
	l := letter{Envelope: e}
	m, err := mail.ReadMessage(strings.NewReader(e.Data))
	if err != nil {
		return l, fmt.Errorf("this is no mail: %w", err)
	}
	l.header = m.Header
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return l, fmt.Errorf("this is no mail in two forms: %q, %w", kind, err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextPart() // which undoes quoted-printable
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return l, err
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return l, err
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			l.text = string(b)
		case "text/html":
			l.html = string(b)
		}
	}
}

// get returns a field of the header in readable form.
func (l letter) get(name string) string {
	value := l.header.Get(name)
	if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
		return decoded
	}
	return value
}
