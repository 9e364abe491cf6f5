package email

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Auth is how we log in to a relay. The zero value is not at all. It is printed without its credential.
type Auth struct {
	mechanism mechanism
	user      string
	value     secret.Value
}

type mechanism uint8

const (
	none mechanism = iota
	password
	oauth
)

// Password logs in with PLAIN (RFC 4616) or, where the relay offers only that, LOGIN. Neither part may be empty or hold
// a control character.
func Password(user string, value secret.Value) Auth { return Auth{password, user, value} }

// OAuth logs in with XOAUTH2, as Google and Microsoft define it. token is an access token; it expires after an hour or
// so, so that it is usually a secret.Func.
func OAuth(user string, token secret.Value) Auth { return Auth{oauth, user, token} }

// check returns what is wrong with a as far as it is known without asking a source.
func (a Auth) check() error {
	if a.mechanism == none {
		return nil
	}
	const field = "Relay.Auth"
	switch problem := credentialProblem(a.user); {
	case problem != "":
		return mistake(codeOf(a.user), field, "has a user name that "+problem, "correct it")
	case a.value.IsZero():
		return mistake(channel.CodeMissing, field, "has no password or token", "give it, or leave the log-in out")
	case a.value.IsKept():
		return mistake(channel.CodeStored, field, "stands for a value that was stored before", "put the stored value in its place")
	case a.value.Source() == "literal":
		literal, err := a.value.Reveal(context.Background())
		if err != nil {
			return err
		}
		if problem := credentialProblem(literal); problem != "" {
			return mistake(channel.CodeInvalid, field, "is a credential that "+problem, "correct it, for example remove a line feed at the end")
		}
	}
	return nil
}

// codeOf tells a value that was not given from one that is wrong.
func codeOf(value string) channel.ConfigCode {
	if value == "" {
		return channel.CodeMissing
	}
	return channel.CodeInvalid
}

// credentialProblem finds what would change the meaning of a log-in: its parts are separated by NUL or SOH.
func credentialProblem(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "holds a control character"
	}
	return ""
}

// reveal returns the credential. The error is that of secret.Value.Reveal, or a *secret.SourceError.
func (a Auth) reveal(ctx context.Context) (string, error) {
	if a.mechanism == none {
		return "", nil
	}
	credential, err := a.value.Reveal(ctx)
	if err != nil {
		return "", err
	}
	if problem := credentialProblem(credential); problem != "" {
		return "", &secret.SourceError{Source: a.value.Source(), Reason: problem}
	}
	return credential, nil
}

// choose returns the exchange for the first of our mechanisms that the relay offers; nil = none. That the connection
// may carry it has been checked: go-mail's own check lets some mechanisms and some hosts pass.
func (a Auth) choose(offered, host, credential string) smtp.Auth {
	has := strings.Fields(strings.ToUpper(offered))
	switch {
	case a.mechanism == oauth && slices.Contains(has, "XOAUTH2"):
		return smtp.XOAuth2Auth(a.user, credential)
	case a.mechanism == password && slices.Contains(has, "PLAIN"):
		return smtp.PlainAuth("", a.user, credential, host, true)
	case a.mechanism == password && slices.Contains(has, "LOGIN"):
		return smtp.LoginAuth(a.user, credential, host, true)
	}
	return nil
}
