package smtptest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
)

// Mail is a mail that was taken.
type Mail struct {
	From string   // the sender of MAIL, to whom bounces go
	To   []string // the recipients of RCPT that were not refused: they get the mail, whatever its header says
	Data []byte   // header and body as they were sent, without the dots that SMTP adds; lines end with CRLF
	TLS  bool     // it came over an encrypted connection

	// What a mail program shows. Empty as far as Data is not of such a form.
	Header  netmail.Header // as it was sent; field names are canonical ("Message-Id")
	Subject string         // decoded
	Text    string         // the first part of text/plain, decoded; lines end with LF
	HTML    string         // the first part of text/html, likewise
}

// parse fills in what a mail program shows.
func (m *Mail) parse() {
	message, err := netmail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		return
	}
	m.Header, m.Subject = message.Header, message.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = decoded
	}
	m.parsePart(message.Header.Get, message.Body, maxDepth)
}

// maxDepth is how deep parts may stand in each other.
const maxDepth = 10

// parsePart reads a part of a mail, or all of it, and the parts in it.
func (m *Mail) parsePart(header func(name string) string, body io.Reader, depth int) {
	kind, parameters, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045, section 5.2
	}
	if strings.HasPrefix(kind, "multipart/") && depth > 0 {
		for parts := multipart.NewReader(body, parameters["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			m.parsePart(p.Header.Get, p, depth-1)
		}
	}
	into := map[string]*string{"text/plain": &m.Text, "text/html": &m.HTML}[kind]
	if into == nil || *into != "" {
		return
	}
	switch strings.ToLower(header("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		*into = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}
