package config

import (
	"strings"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

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

func auth(s Settings) webhook.Auth {
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

// signatures are the schemes of package signature under their names.
func signatures() []signature.Scheme {
	var all []signature.Scheme
	for s := signature.Standard; s.IsValid(); s++ {
		all = append(all, s)
	}
	return all
}

func signatureNames() []string {
	var names []string
	for _, s := range signatures() {
		names = append(names, signatureName(s))
	}
	return names
}

// signatureName is the scheme's name as documents write it, such as standard_webhooks.
func signatureName(s signature.Scheme) string {
	return strings.ReplaceAll(strings.ToLower(s.String()), " ", "_")
}

func signing(s Settings) webhook.Signing {
	keys := []webhook.SigningKey{{Secret: s.Secret("secret")}}
	if s.Has("previous") {
		keys = append(keys, webhook.SigningKey{Secret: s.Secret("previous")})
	}
	for _, scheme := range signatures() {
		if signatureName(scheme) == s.Text("scheme") {
			return webhook.Sign(scheme, keys...)
		}
	}
	return webhook.Signing{}
}
