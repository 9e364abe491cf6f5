package preset

import (
	"net/http"
	"net/mail"
	"strings"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// SendGrid sends an e-mail by the v3 mail/send API: text and HTML, to each recipient separately, so that they do not
// see each other. The sender has to be verified there; SendGrid answers 403 otherwise, which is not tried again. At
// most 1000 recipients. For an EU subuser set URL to https://api.eu.sendgrid.com/v3/mail/send. SendGrid has no
// idempotency key: after a failure in the middle a mail may come twice.
//
// Source: sendgrid/sendgrid-oai, spec of POST /mail/send, and twilio.com/docs/sendgrid (errors, rate limits), read
// 2026-11: required fields, order of content, 1000 personalizations, 202 with X-Message-Id and without a body,
// X-RateLimit-Reset in epoch seconds. Recalled: 30 MB for a whole request, of which no body here comes near.
func SendGrid(key secret.Value, from, to mail.Address, more ...mail.Address) webhook.Config {
	recipients := append([]mail.Address{to}, more...)
	return webhook.Config{
		URL:       "https://api.sendgrid.com/v3/mail/send",
		Auth:      webhook.Scheme("Bearer", key),
		Body:      body(1<<20, func(m message) any { return sendGridMail(m, from, recipients) }),
		Success:   []int{http.StatusAccepted},
		RateLimit: webhook.ResetAtUnix,
		Interpret: readSendGrid,
	}
}

type sendGrid struct {
	Personalizations []sendGridEnvelope `json:"personalizations"`
	From             sendGridAddress    `json:"from"`
	Subject          string             `json:"subject"`
	Content          []sendGridContent  `json:"content"` // text/plain has to come first
	Headers          map[string]string  `json:"headers"`
	CustomArgs       map[string]string  `json:"custom_args"`
	Tracking         sendGridTracking   `json:"tracking_settings"`
}

type sendGridEnvelope struct {
	To []sendGridAddress `json:"to"`
}

type sendGridAddress struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

type sendGridContent struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// sendGridTracking switches off that links are rewritten and openings counted: who is to approve something should see
// where a link leads.
type sendGridTracking struct {
	Click sendGridSetting `json:"click_tracking"`
	Open  sendGridSetting `json:"open_tracking"`
}

type sendGridSetting struct {
	Enable bool `json:"enable"`
}

func sendGridMail(m message, from mail.Address, to []mail.Address) any {
	s := sendGrid{
		From: sendGridAddress{from.Address, from.Name},
		// No encoded word (RFC 2047) of anybody else's making, and what mail programs show.
		Subject: notice.TruncateUTF16(strings.ReplaceAll(m.Title, "=?", "= ?"), 255),
		Content: []sendGridContent{{"text/plain", m.Text()}, {"text/html", page(m.Notice)}},
		// RFC 3834: nobody's holiday notice answers it.
		Headers:    map[string]string{"Auto-Submitted": "auto-generated"},
		CustomArgs: map[string]string{"delivery_id": m.id, "event_id": m.event.ID(), "event_type": string(m.event.Type())},
	}
	for _, a := range to {
		s.Personalizations = append(s.Personalizations, sendGridEnvelope{[]sendGridAddress{{a.Address, a.Name}}})
	}
	return s
}

// readSendGrid takes the field that SendGrid complains about; its message may quote what is in it.
func readSendGrid(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		Errors []struct {
			Field string `json:"field"`
		} `json:"errors"`
	}](a)
	r := webhook.Reading{Verdict: v, ProviderID: a.Header.Get("X-Message-Id"), OutcomeUnknown: maybeDone(a.Status)}
	if len(said.Errors) > 0 {
		r.Reason = name(said.Errors[0].Field)
		if a.Status == http.StatusForbidden && r.Reason == "from" {
			r.Verdict = retry.VerdictPermanent // a sender who is not verified
		}
	}
	return expected(r, len(a.Body) == 0)
}
