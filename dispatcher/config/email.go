package config

import (
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/template"
)

// maxRecipients is what the schema says; package email counts all kinds of recipients together.
const maxRecipients = 10

func emailType() Type {
	return Type{
		Doc: "Mail through an SMTP relay.",
		Fields: slices.Concat([]Field{
			{Name: "smtp_host", Required: true, Destination: true, Doc: "Name or address of the relay."},
			{Name: "smtp_port", Kind: Number, Min: 1, Max: 65535, Destination: true, Doc: "The relay's port: 25, 465, 587 or 2525. Default: 587, or 465 with implicit TLS."},
			{Name: "smtp_tls", Values: tlsModes(), Destination: true, Doc: "When the connection is encrypted. Default: required, by STARTTLS, or from the first byte on port 465."},
			{Name: "smtp_user", verbatim: true, Doc: "Name to log in with. Default: no log-in."},
			{Name: "smtp_password", Kind: Secret, Doc: "The password for smtp_user."},
			{Name: "from_address", Required: true, Doc: "The sender's address."},
			{Name: "from_name", Doc: "The sender's name."},
			{Name: "reply_to", Doc: "The address for answers. Default: the sender's."},
			{Name: "to_addresses", List: true, MaxItems: maxRecipients, Doc: "Recipients whom everybody sees; at most 10 recipients of all kinds."},
			{Name: "bcc_addresses", List: true, MaxItems: maxRecipients, Doc: "Recipients whom nobody sees."},
			{Name: "to_templates", List: true, optional: true, MaxItems: maxRecipients, Doc: "Recipients that the event names: templates such as {{data.requester.email}}."},
			{Name: "syntax", Values: []string{"handlebars", "macros"}, Doc: "The language of all templates here; macros are %%Name%%. Default: handlebars."},
			{Name: "macro_names", Values: macroSets(), Doc: "Which macros there are: those of session events, those of application access events, or any path. Default: session."},
			{Name: "subject", Doc: "A template for the subject. Default: what happened, in one line."},
			{Name: "text", Doc: "A template for the plain text. Default: what happened."},
			{Name: "html", Doc: "A template for the HTML form. Default: what happened; none beside text."},
			{Name: "domain", Doc: "How we introduce ourselves to the relay. Default: the sender's domain."},
			{Name: "timeout", Kind: Duration, Min: 1, timeCap: capTimeout, Doc: "The time of one attempt. Default: 30s."},
			{Name: "limits", Doc: "Name of the policy whose ports the relay may have, one of the host's. Default: the four ports above."},
		}, tlsFields()),
		Make: makeEmail,
		Paths: map[string]string{
			"Relay.Host": "smtp_host", "Relay.Port": "smtp_port", "Relay.Mode": "smtp_tls", "Relay.Auth": "smtp_password", "Relay.TLS": "ca_certificate",
			"From": "from_address", "To": "to_addresses", "Bcc": "bcc_addresses", "ToComputed": "to_templates",
		},
		partial: true,
	}
}

func tlsModes() []string {
	var modes []string
	for m := email.TLSRequired; m <= email.TLSNone; m++ {
		modes = append(modes, m.String())
	}
	return modes
}

func makeEmail(s Settings, e Environment) (channel.Channel, error) {
	c := email.Config{
		Relay: email.Relay{
			Host: s.Text("smtp_host"), Port: s.Number("smtp_port"), TLS: tlsOf(s, e),
			Mode: email.TLSMode(max(slices.Index(tlsModes(), s.Text("smtp_tls")), 0)),
		},
		From: s.Text("from_address"), FromName: s.Text("from_name"), ReplyTo: s.Text("reply_to"),
		To: s.Texts("to_addresses"), Bcc: s.Texts("bcc_addresses"),
		Domain: s.Text("domain"), Guard: e.Guard, Timeout: s.Duration("timeout"), Progress: e.Progress, Logger: e.Logger,
	}
	if s.Has("limits") { // the default policy is about HTTP, whose ports no relay has
		c.Relay.Ports = e.Limits.Ports
	}
	var errs []error
	if user := s.Has("smtp_user"); user != s.Has("smtp_password") {
		missing := "smtp_user"
		if user {
			missing = "smtp_password"
		}
		errs = append(errs, s.Mistake(missing, channel.CodeMissing, "is missing", "give both smtp_user and smtp_password, or neither"))
	} else if user {
		c.Relay.Auth = email.Password(s.Text("smtp_user"), s.Secret("smtp_password"))
	}
	errs = append(errs, mailTemplates(s, &c))
	mail, err := email.New(c)
	return finish(mail, err, errs...)
}

// mailTemplates compiles the templates of s into c.
func mailTemplates(s Settings, c *email.Config) error {
	o := template.Options{Mode: template.Text}
	if s.Text("syntax") == "macros" {
		o.Syntax, o.Macros = template.Macros, macros(s.Text("macro_names"), "session")
	}
	var errs [4]error
	c.ToComputed, errs[0] = s.Templates("to_templates", o)
	c.Text, errs[1] = s.Template("text", o)
	o.Mode = template.Header
	c.Subject, errs[2] = s.Template("subject", o)
	o.Mode = template.HTML
	c.HTML, errs[3] = s.Template("html", o)
	return errors.Join(errs[:]...)
}
