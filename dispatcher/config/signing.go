package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

func signField() Field {
	return Field{Name: "sign", Kind: Object, guards: true, Doc: "Signs requests.", Fields: []Field{
		{Name: "scheme", Required: true, Values: signatureNames(), Doc: "How requests are signed."},
		{Name: "secret", Kind: Secret, Required: true, Doc: "The secret that receivers know."},
		{Name: "previous", Kind: Secret, Doc: "The secret before that one, while receivers change over."},
		{Name: "previous_until", Pattern: timePattern, Form: "a time such as 2026-01-31T18:00:00Z", Doc: "When previous is no longer used, such as 2026-01-31T18:00:00Z. Default: never."},
	}}
}

// timePattern is RFC 3339.
const timePattern = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})`

// signatureNames are the schemes of package signature as documents write them, such as standard_webhooks, in their
// order.
func signatureNames() []string {
	var names []string
	for s := signature.Standard; s.IsValid(); s++ {
		names = append(names, strings.ReplaceAll(strings.ToLower(s.String()), " ", "_"))
	}
	return names
}

func signingOf(s Settings) (webhook.Signing, error) {
	keys := []webhook.SigningKey{{Secret: s.Secret("secret")}}
	var errs []error
	if s.Has("previous") {
		keys = append(keys, webhook.SigningKey{Secret: s.Secret("previous")})
	}
	if until := s.Text("previous_until"); until != "" {
		at, err := time.Parse(time.RFC3339, until)
		switch {
		case err != nil:
			errs = append(errs, s.Mistake("previous_until", channel.CodeInvalid, "is no time that exists", "write a time such as 2026-01-31T18:00:00Z"))
		case len(keys) == 1:
			errs = append(errs, s.Mistake("previous_until", channel.CodeConflict, "is set without previous", "remove it, or give previous"))
		default:
			keys[1].NotAfter = at
		}
	}
	return webhook.Sign(schemeOf(s), keys...), errors.Join(errs...)
}

// schemeOf is that of a field sign.
func schemeOf(sign Settings) signature.Scheme {
	return signature.Standard + signature.Scheme(max(slices.Index(signatureNames(), sign.Text("scheme")), 0))
}

// RotateSecret returns the document with another secret by which a channel signs. The one that it had signs as well
// until the given time, so that receivers can change over. Without a secret a new one is made of 32 random bytes. It
// returns the secret, which is in the document from then on: to be shown once.
//
// The error is an *Error, of CodeUnknown if there is no such channel, of CodeMissing if it does not sign, and of
// CodeConflict if its scheme has one signature only, or the secret before that one is still in use at now: only force
// ends the use of that one, or RevokePrevious.
func (d *Document) RotateSecret(name, next string, now, until time.Time, force bool) (*Document, string, error) {
	c, p := d.signing(name)
	if err := p.err(); err != nil {
		return nil, "", err
	}
	sign := c.get("sign")
	at, _ := time.Parse(time.RFC3339, sign.text("previous_until"))
	scheme := schemeOf(Settings{v: sign})
	switch {
	case !scheme.Rotates():
		p.report(sign.get("scheme"), channel.CodeConflict, "has one signature in each request, so that its secret cannot be changed gradually", "replace secret, when the receiver does")
	case !force && sign.has("previous") && (at.IsZero() || now.Before(at)):
		p.report(sign.get("previous"), channel.CodeConflict, "is still in use", "revoke it, wait for previous_until, or say that its use may end")
	case next == "":
		next = generateSecret(scheme)
	default:
		if _, err := signature.NewKey(scheme, next); err != nil {
			wrong, _ := errors.AsType[*signature.KeyError](err)
			p.report(sign.get("secret"), channel.CodeInvalid, wrong.Problem, wrong.Remedy)
		}
	}
	if err := p.err(); err != nil {
		return nil, "", err
	}
	sign.put("previous", sign.get("secret").data)
	sign.put("previous_until", until.UTC().Format(time.RFC3339))
	sign.put("secret", credential{value: secret.Literal(next)})
	return d.withList(c.field, d.list("channels").with(d.list("channels").named(name), c)), next, nil
}

// RevokePrevious returns the document without the previous secret by which a channel signs: d itself if there is none.
// The error is that of RotateSecret.
func (d *Document) RevokePrevious(name string) (*Document, error) {
	c, p := d.signing(name)
	if err := p.err(); err != nil {
		return nil, err
	}
	sign := c.get("sign")
	if !sign.has("previous") {
		return d, nil
	}
	sign.data = slices.DeleteFunc(sign.fields(), func(f *value) bool { return strings.HasPrefix(f.name(), "previous") })
	return d.withList(c.field, d.list("channels").with(d.list("channels").named(name), c)), nil
}

// signing returns a copy of a channel that signs.
func (d *Document) signing(name string) (*value, *problems) {
	c, p := d.existing("channels", name)
	if c == nil {
		return nil, p
	}
	p.whole = "the channel"
	if !c.has("sign") {
		p.add(position{}, "sign", channel.CodeMissing, "is not there: the channel signs nothing", "add it to the channel, with a scheme and a secret")
		return nil, p
	}
	return c.clone(nil), p
}

// generateSecret makes a secret as receivers of a scheme expect it.
func generateSecret(s signature.Scheme) string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // which never fails
	text := base64.StdEncoding.EncodeToString(b)
	if s == signature.Standard {
		text = "whsec_" + text
	}
	return text
}
