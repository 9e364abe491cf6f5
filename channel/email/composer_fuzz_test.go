package email

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// Whatever an event holds, a message is made of it that is fit for the wire, has our headers and no other, two parts,
// and the recipients that were configured.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "x\r\nBcc: evil@evil.example\r\n\r\n.\r\n", "=?utf-8?q?=0D=0A?=", "\xff\x00\x1b\u202e\u2028", "<b>&\"'`=", strings.Repeat("é ", 600), strings.Repeat("x", 1200)} {
		f.Add(s, s)
	}
	compile := func(mode template.Mode) *template.Template {
		t, err := template.Compile("{{data.justification}} {{data.requester.name}}", template.Options{Mode: mode})
		if err != nil {
			f.Fatal(err)
		}
		return t
	}
	plain := Config{From: "noc@sender.example", FromName: "Zugriff für alle", To: []string{"jo@example.com"}}
	own := plain
	own.Subject, own.Text, own.HTML = compile(template.Header), compile(template.Text), compile(template.HTML)
	var composers []*composer
	for _, c := range []Config{plain, own} {
		l, err := newComposer(&c)
		if err != nil {
			f.Fatal(err)
		}
		composers = append(composers, l)
	}
	f.Fuzz(func(t *testing.T, justification, name string) {
		request := event.AccessRequest{ID: "r-1", Justification: justification, FriendlyID: name, URL: "https://access.example/" + name}
		request.Requester.Name = name
		e, err := event.New(event.RequestPending{AccessRequest: request}, event.Meta{})
		if err != nil {
			return
		}
		for _, l := range composers {
			m, err := l.compose(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: name}})
			if err != nil {
				t.Fatal(err)
			}
			if len(m.recipients) != 1 || m.recipients[0].address != "jo@example.com" {
				t.Fatalf("recipients %v", m.recipients)
			}
			checkMessage(t, m.wire)
		}
	})
}

func checkMessage(t *testing.T, wire []byte) {
	t.Helper()
	if !isValidWire(wire) {
		t.Fatalf("not fit: %q", wire)
	}
	read, err := netmail.ReadMessage(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-Id", "In-Reply-To", "References", "Auto-Submitted", "Mime-Version", "Content-Type"} {
		if len(read.Header[name]) != 1 {
			t.Fatalf("%d times %s", len(read.Header[name]), name)
		}
	}
	if len(read.Header) != 10 {
		t.Fatalf("headers %v", read.Header)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
	if err != nil || oneLine(subject) != subject || subject == "" || len([]rune(subject)) > maxSubject {
		t.Fatalf("subject %q, %v", subject, err)
	}
	_, parameters, err := mime.ParseMediaType(read.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(read.Body, parameters["boundary"])
	for _, kind := range []string{"text/plain; charset=UTF-8", "text/html; charset=UTF-8"} {
		p, err := parts.NextPart()
		if err != nil || p.Header.Get("Content-Type") != kind {
			t.Fatalf("part %s: %v", kind, err)
		}
		if _, err := io.ReadAll(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Fatalf("after the parts: %v", err)
	}
}
