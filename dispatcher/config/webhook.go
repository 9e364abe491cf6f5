package config

import (
	"cmp"
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

func webhookType(caps Caps) Type {
	return Type{
		Doc: "Any HTTP receiver, and the products that have a preset.",
		Fields: slices.Concat([]Field{
			{Name: "preset", Kind: Variants, Tag: "product", Destination: true, Doc: "Configures the webhook for a named product; other fields change that further.", Variants: presets()},
			{Name: "url", Kind: Address, Destination: true, Doc: "Where events are sent. Required, but for presets that know it. All behind the host is a secret, unless there are masks."},
			{Name: "masks", Kind: Masks, guards: true, Doc: "Up to 10 secret parts of the URL, which then shows their replacements."},
			{Name: "path", Destination: true, Doc: "A Handlebars template that makes path and query, which url then must not have."},
			{Name: "method", Values: []string{"POST", "PUT", "PATCH", "DELETE", "GET"}, Doc: "HTTP method, as far as limits allow it. Default: POST."},
			{Name: "headers", Kind: Headers, MaxItems: 100, Doc: "Headers of every request; at most 25, or as limits say."},
			authField(),
			bodyField(),
			{Name: "vocabulary", Doc: "Whose words for types of events the receiver switches on: trigger (Created), access_request (AccessRequestCreated), application_access, or one of the host's. Templates, macros and forms have them as event_type. Default: the types themselves."},
			{Name: "content_type", Doc: "Media type of the body. Default: that of the body."},
			{Name: "max_body", Kind: Number, Min: 1, Max: caps.MaxBody, Doc: "The largest body in bytes. Texts of the event are cut shorter for it; what is still larger is not sent. Default: the preset's, or 1 MiB."},
			{Name: "success", Kind: Number, List: true, MaxItems: 100, Min: 200, Max: 599, Doc: "Statuses that mean success. Default: any 2xx."},
			{Name: "retry_statuses", List: true, MaxItems: 100, Pattern: `[2-5][0-9][0-9]|[2-5]xx|all`, Form: "a status such as 429, a class such as 5xx, or all", Doc: "Statuses that are worth another attempt: numbers such as 429, classes such as 5xx, or all. Default: all that is no success, but what says that the request itself is wrong (400, 405, 406, 411, 413, 414, 415, 417, 422, 426, 431, 501, 505) and 410."},
			{Name: "sign", Kind: Object, guards: true, Doc: "Signs requests.", Fields: []Field{
				{Name: "scheme", Required: true, Values: signatureNames(), Doc: "How requests are signed."},
				{Name: "secret", Kind: Secret, Required: true, Doc: "The secret that receivers know."},
				{Name: "previous", Kind: Secret, Doc: "The secret before that one, while receivers change over."},
			}},
			limitsField(),
			timeoutsField(caps),
		}, tlsFields()),
		Make:    makeWebhook,
		Paths:   webhookPaths(),
		partial: true,
	}
}

func makeWebhook(s Settings, e Environment) (channel.Channel, error) {
	c, errs := webhook.Config{URL: s.Text("url")}, []error(nil)
	if preset := s.Object("preset"); s.Has("preset") {
		var err error
		c, err = presetOf(preset, s)
		errs = append(errs, err)
		c.URL = cmp.Or(c.URL, unknownURL)
	} else if !s.Has("url") {
		errs = append(errs, s.Mistake("url", channel.CodeMissing, "is missing", "give the receiver's URL"))
	}
	c.Masks, c.Guard, c.Limits, c.Logger = s.Masks("masks"), e.Guard, e.Limits, e.Logger
	c.TLS, c.Timeouts = tlsOf(s), timeoutsOf(s)
	if s.Has("max_body") {
		c.MaxBody = s.Number("max_body")
	}
	if s.Has("method") {
		c.Method = s.Text("method")
	}
	if s.Has("content_type") {
		c.ContentType = s.Text("content_type")
	}
	if s.Has("success") {
		c.Success = s.Numbers("success")
	}
	if s.Has("retry_statuses") {
		c.Verdicts = verdicts(s.Texts("retry_statuses"))
	}
	if s.Has("sign") {
		c.Sign = signing(s.Object("sign"))
	}
	if s.Has("vocabulary") {
		c.Words = e.Words
	}
	if s.Has("auth") {
		c.Auth = auth(s.Object("auth"))
	}
	var err error
	c.Path, err = s.Template("path", template.Options{Mode: template.URL})
	errs = append(errs, err)
	headers, err := s.Headers("headers")
	c.Headers = append(c.Headers, headers...)
	errs = append(errs, err, readableCredentials(s, headers))
	if s.Has("body") {
		c.Body, err = body(s.Object("body"))
		errs = append(errs, err)
	}
	hook, err := webhook.New(c)
	return made(hook, err, errs...)
}

// unknownURL stands for that of a preset that could not be read, so that the rest can be checked.
const unknownURL = "https://preset.invalid/"

// webhookPaths are the fields of documents that those of a webhook.Config are made of, where the name is another one.
func webhookPaths() map[string]string {
	return map[string]string{
		"Sign[0]": "sign.secret", "Sign[1]": "sign.previous", "Words": "vocabulary", "TLS": "ca_certificate",
		"Body.Secrets": "preset", // no other body has any
	}
}

// readableCredentials refuses headers that are credentials whatever else they are, where everybody could read them.
func readableCredentials(s Settings, headers []webhook.Header) error {
	var errs []error
	for i, h := range headers {
		if field := readable(h); field != "" && isCredential(h.Name) {
			errs = append(errs, s.Mistake(indexed("headers", i)+"."+field, channel.CodeConflict, "is readable, but a credential", "give it as secret, or use auth"))
		}
	}
	return errors.Join(errs...)
}

// readable is the field that holds the value of h where everybody could read it; "" = none does.
func readable(h webhook.Header) string {
	switch {
	case h.Value != "":
		return "value"
	case h.Template != nil:
		return "template"
	}
	return ""
}
