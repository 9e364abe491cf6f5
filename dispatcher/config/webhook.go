package config

import (
	"cmp"
	"errors"
	"net/textproto"
	"slices"
	"strconv"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

func webhookType() Type {
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
			{Name: "max_body", Kind: Number, Min: 1, numberCap: func(c Caps) int { return c.MaxBody }, Doc: "The largest body in bytes. Texts of the event are cut shorter for it; what is still larger is not sent. Default: the preset's, or 1 MiB."},
			{Name: "success", Kind: Number, List: true, MaxItems: 100, Min: 200, Max: 599, Doc: "Statuses that mean success. Default: any 2xx."},
			{Name: "retry_statuses", List: true, MaxItems: 100, Pattern: `[2-5][0-9][0-9]|[2-5]xx|all`, Form: "a status such as 429, a class such as 5xx, or all", Doc: "Statuses that are worth another attempt: numbers such as 429, classes such as 5xx, or all. Default: all that is no success, but what says that the request itself is wrong (400, 405, 406, 411, 413, 414, 415, 417, 422, 426, 431, 501, 505) and 410."},
			signField(),
			limitsField(),
			proxyField(),
			timeoutsField(),
		}, tlsFields()),
		Make: makeWebhook,
		Paths: map[string]string{
			"Sign[0]": "sign.secret", "Sign[1]": "sign.previous", "Words": "vocabulary", "TLS": "ca_certificate",
			"Body.Secrets": "preset", // no other body has any
		},
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
	c.TLS, c.Proxy, c.Timeouts = tlsOf(s, e), e.Proxy, timeoutsOf(s)
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
		var err error
		c.Sign, err = signingOf(s.Object("sign"))
		errs = append(errs, err)
	}
	if s.Has("vocabulary") {
		c.Words = e.Words
	}
	if s.Has("auth") {
		c.Auth = authOf(s.Object("auth"))
	}
	var err error
	c.Path, err = s.Template("path", template.Options{Mode: template.URL})
	errs = append(errs, err)
	headers, err := s.Headers("headers")
	c.Headers = append(c.Headers, headers...)
	errs = append(errs, err, readableCredentials(s, headers))
	if s.Has("body") {
		c.Body, err = bodyOf(s.Object("body"))
		errs = append(errs, err)
	}
	hook, err := webhook.New(c)
	return finish(hook, err, errs...)
}

// unknownURL stands for that of a preset that could not be read, so that the rest can be checked.
const unknownURL = "https://preset.invalid/"

// readableCredentials refuses headers that are credentials by their meaning, where everybody could read them.
func readableCredentials(s Settings, headers []webhook.Header) error {
	var errs []error
	for i, h := range headers {
		field := "value"
		if h.Value == "" && h.Template != nil {
			field = "template"
		}
		isCredential := slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, textproto.CanonicalMIMEHeaderKey(h.Name))
		if isCredential && (h.Value != "" || h.Template != nil) {
			errs = append(errs, s.Mistake(indexed("headers", i)+"."+field, channel.CodeConflict, "is readable, but a credential", "give it as secret, or use auth"))
		}
	}
	return errors.Join(errs...)
}

func limitsField() Field {
	return Field{Name: "limits", guards: true, Doc: "Name of the policy that says which URLs, methods and how many headers are allowed: default, apono, beyondtrust_cloud, or one of the host's."}
}

func proxyField() Field {
	return Field{Name: "proxy", guards: true, Destination: true, Doc: "Name of the proxy to send through, one of the host's. Default: none."}
}

func tlsFields() []Field {
	return []Field{
		{Name: "verify_tls", Kind: Flag, Destination: true, Doc: "Whether the server's certificate is verified. Default: true."},
		{Name: "ca_certificate", Destination: true, Doc: "Certificates in PEM form by which the server is verified, in place of the system's roots."},
		{Name: "client_certificate", guards: true, Doc: "Name of the certificate, one of the host's, that a server gets which asks who we are. Default: none."},
	}
}

func tlsOf(s Settings, e Environment) netguard.TLS {
	return netguard.TLS{InsecureSkipVerify: !s.Flag("verify_tls", true), CAPEM: []byte(s.Text("ca_certificate")), ClientCertificate: e.ClientCertificate}
}

func timeoutsField() Field {
	return Field{Name: "timeouts", Kind: Object, Doc: "Limits of the phases of an attempt.", Fields: []Field{
		{Name: "connect", Kind: Duration, Min: 1, timeCap: capTimeout, Doc: "Name resolution and TCP. Default: 10s."},
		{Name: "tls", Kind: Duration, Min: 1, timeCap: capTimeout, Doc: "The TLS handshake. Default: 10s."},
		{Name: "header", Kind: Duration, Min: 1, timeCap: capTimeout, Doc: "From the request to the header of the response. Default: 15s."},
		{Name: "total", Kind: Duration, Min: 1, timeCap: capTimeout, Doc: "Everything, the response's body included. Default: 30s."},
	}}
}

func timeoutsOf(s Settings) netguard.Timeouts {
	t := s.Object("timeouts")
	return netguard.Timeouts{Connect: t.Duration("connect"), TLS: t.Duration("tls"), Header: t.Duration("header"), Total: t.Duration("total")}
}

func authField() Field {
	return Field{Name: "auth", Kind: Variants, guards: true, Tag: "kind", Doc: "The Authorization header.", Variants: []Variant{
		{Name: "none", Doc: "no authentication"},
		{Name: "basic", Doc: "user and password", Fields: []Field{
			{Name: "user", Required: true, verbatim: true, Doc: "Name of the user."},
			{Name: "password", Kind: Secret, Doc: "The user's password."},
		}},
		{Name: "token", Doc: "a value that is sent as it is", Fields: []Field{
			{Name: "value", Kind: Secret, Required: true, Doc: "The whole value of the header, such as Bearer and a token."},
		}},
		{Name: "bearer", Doc: "a token behind the word Bearer", Fields: []Field{
			{Name: "token", Kind: Secret, Required: true, Doc: "The token, without the word Bearer."},
		}},
	}}
}

func authOf(s Settings) webhook.Auth {
	switch s.Text("kind") {
	case "basic":
		return webhook.Basic(s.Text("user"), s.Secret("password"))
	case "token":
		return webhook.Token(s.Secret("value"))
	case "bearer":
		return webhook.Scheme("Bearer", s.Secret("token"))
	default:
		return webhook.Auth{}
	}
}

func bodyField() Field {
	source := Field{Name: "template", Required: true, Doc: "The template."}
	mode := Field{Name: "format", Values: []string{"json", "text"}, Doc: "What the template makes. Default: json."}
	return Field{Name: "body", Kind: Variants, Tag: "kind", Doc: "What requests carry. Default: the event's JSON form.", Variants: []Variant{
		{Name: "event", Doc: "the event's JSON form as it is"},
		{Name: "template", Doc: "what a Handlebars template makes of the event", Fields: []Field{source, mode}},
		{Name: "macros", Doc: "what a template with %%Name%% makes of the event", Fields: []Field{
			source, mode,
			{Name: "names", Values: macroSets(), Doc: "Which macros there are: those of application access events, those of session events, or any path such as %%data.id%%. Default: application."},
		}},
		{Name: "form", Doc: "form variables, as remote access products send them", Fields: []Field{
			{Name: "version", Doc: "The variable version. Default: 1."},
			{Name: "custom_fields", Kind: Flag, Doc: "Whether every attribute of the event is a variable too. Default: false."},
		}},
		{Name: "alert", Doc: "the flat alert of 17 fields, for alert events"},
		{Name: "cloudevents", Doc: "CloudEvents 1.0", Fields: []Field{
			{Name: "source", Required: true, Doc: "The attribute source of events that have none, such as the product's URL."},
			{Name: "binary", Kind: Flag, Doc: "Whether attributes are sent as headers. Default: false, one JSON document."},
			{Name: "attributes", List: true, MaxItems: 100, Doc: "The event's attributes that become extension attributes. Default: all."},
		}},
		{Name: "static", Doc: "always the same text", Fields: []Field{
			{Name: "text", Required: true, Doc: "The body: JSON, unless content_type says something else. No place for credentials."},
		}},
	}}
}

// bodyOf makes the body that s describes.
func bodyOf(s Settings) (webhook.Body, error) {
	switch s.Text("kind") {
	case "template", "macros":
		t, err := s.Template("template", bodyTemplate(s))
		return webhook.TemplateBody(t), err
	case "form":
		return webhook.FormBody(webhook.FormOptions{Version: s.Text("version"), CustomFields: s.Flag("custom_fields", false)}), nil
	case "alert":
		return webhook.AlertBody(), nil
	case "cloudevents":
		return webhook.CloudEvents(webhook.CloudEventsOptions{Source: s.Text("source"), Binary: s.Flag("binary", false), Attributes: s.Texts("attributes")}), nil
	case "static":
		return webhook.StaticBody([]byte(s.Text("text"))), nil
	default:
		return webhook.Body{}, nil
	}
}

func bodyTemplate(s Settings) template.Options {
	o := template.Options{Mode: template.JSON}
	if s.Text("format") == "text" {
		o.Mode = template.Text
	}
	if s.Text("kind") == "macros" {
		o.Syntax, o.Macros = template.Macros, macros(s.Text("names"), "application")
	}
	return o
}

// macroSets are the names of sets of macros.
func macroSets() []string { return []string{"application", "session", "paths"} }

// macros returns the macros of a set; nil = any path.
func macros(set, def string) map[string]string {
	switch cmp.Or(set, def) {
	case "session":
		return template.SessionMacros()
	case "application":
		return template.ApplicationMacros()
	default:
		return nil
	}
}

// verdicts tries again after the listed statuses: success is judged elsewhere, and all others are permanent.
func verdicts(words []string) func(status int) retry.Verdict {
	if slices.Contains(words, "all") {
		return webhook.RetryAllButSuccess
	}
	return func(status int) retry.Verdict {
		text := strconv.Itoa(status)
		if slices.Contains(words, text) || slices.Contains(words, text[:1]+"xx") {
			return retry.VerdictTransient
		}
		return retry.VerdictPermanent
	}
}
