package sns

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Credentials say how requests are signed. The zero value is the SDK's default chain: environment variables, the shared
// configuration files, a web identity, the container's and the instance's metadata service. It is printed without its
// credentials.
type Credentials struct {
	id, key, token secret.Value
	provider       func() aws.CredentialsProvider // a function, because package fmt looks into everything else
}

// Static are an access key, and the session token of a temporary one. They are asked for with every attempt, so they
// may come from files or a vault and be replaced there; what a source keeps is asked for anew once SNS has refused it.
func Static(accessKeyID, secretAccessKey, sessionToken secret.Value) Credentials {
	return Credentials{id: accessKeyID, key: secretAccessKey, token: sessionToken}
}

// Provider are credentials of the host's own making. p is asked with every attempt, from many goroutines at once: put
// one that is slow into an aws.CredentialsCache, which is invalidated when SNS refuses what it holds.
func Provider(p aws.CredentialsProvider) Credentials {
	return Credentials{provider: func() aws.CredentialsProvider { return p }}
}

// check returns what is wrong as far as it is known without asking anybody.
func (c Credentials) check() error {
	switch {
	case c.provider != nil:
		if c.provider() == nil {
			return mistake(channel.CodeMissing, "Credentials", "have a Provider that is nil", "give one, or leave Credentials out for the SDK's default chain")
		}
		return nil
	case c.id.IsZero() && c.key.IsZero() && c.token.IsZero():
		return nil
	case c.id.IsZero() || c.key.IsZero():
		return mistake(channel.CodeMissing, "Credentials", "are Static without the access key's id or its secret", "give both")
	case c.id.IsKept() || c.key.IsKept() || c.token.IsKept():
		return mistake(channel.CodeStored, "Credentials", "stand for values that were stored before", "give the values")
	}
	for _, v := range []secret.Value{c.id, c.key, c.token} {
		if !v.IsZero() && v.Source() != "literal" { // that may change
			return nil
		}
	}
	if _, err := c.reveal(context.Background()); err != nil {
		return mistake(channel.CodeInvalid, "Credentials", "are no access key: they hold a character that is not visible ASCII", "correct them, for example remove a line feed at the end")
	}
	return nil
}

// source gives what to sign with. Both are functions, because package fmt looks into everything else.
type source struct {
	// retrieve returns a complete access key. The error is a *secret.SourceError, or that of ctx.
	retrieve func(ctx context.Context) (aws.Credentials, error)
	// forget makes the next retrieve ask anew what else would be taken from a cache.
	forget func()
}

// source takes Credentials that have been checked. It connects to nothing. The region is that of the services that the
// default chain may have to ask, unless the environment names one.
func (c Credentials) source(region string) (source, error) {
	switch {
	case c.provider != nil:
		return provided(c.provider(), "AWS credentials provider"), nil
	case !c.id.IsZero():
		return source{retrieve: c.reveal, forget: c.expire}, nil
	}
	// The SDK's own HTTP client, and so no Guard: this is the only place where credentials are fetched, and it knows
	// nothing of the Config. The mode is named because finding one out would ask the instance's metadata service here and
	// now.
	chain, err := config.LoadDefaultConfig(context.Background(),
		config.WithDefaultRegion(region), config.WithDefaultsMode(aws.DefaultsModeStandard))
	if err != nil { // its text may quote a line of the credentials file
		return source{}, mistake(channel.CodeInvalid, "Credentials", "cannot be taken from the environment and the AWS configuration files", "run \"aws sts get-caller-identity\" as this user to see why")
	}
	return provided(chain.Credentials, "AWS default credential chain"), nil
}

// provided makes a source of a provider, whatever errors that has.
func provided(p aws.CredentialsProvider, name string) source {
	s := source{forget: func() {}}
	if cache, ok := p.(interface{ Invalidate() }); ok {
		s.forget = cache.Invalidate
	}
	s.retrieve = func(ctx context.Context) (aws.Credentials, error) {
		c, err := p.Retrieve(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return aws.Credentials{}, ctx.Err()
		case err != nil:
			reason := "could not be fetched" // the error's text may hold anything
			if e, ok := errors.AsType[smithy.APIError](err); ok && isCode(e.ErrorCode()) {
				reason += ": " + e.ErrorCode()
			}
			return aws.Credentials{}, &secret.SourceError{Source: name, Reason: reason}
		}
		return c, usable(c, name)
	}
	return s
}

// reveal returns those that were given as they are now.
func (c Credentials) reveal(ctx context.Context) (aws.Credentials, error) {
	var texts [3]string
	for i, v := range []secret.Value{c.id, c.key, c.token} {
		if v.IsZero() {
			continue
		}
		var err error
		if texts[i], err = v.Reveal(ctx); err != nil {
			return aws.Credentials{}, err
		}
		if !visible(texts[i]) {
			return aws.Credentials{}, &secret.SourceError{Source: v.Source(), Reason: "is empty or holds a character that is not visible ASCII"}
		}
	}
	a := aws.Credentials{AccessKeyID: texts[0], SecretAccessKey: texts[1], SessionToken: texts[2]}
	return a, usable(a, c.id.Source())
}

// expire makes the next reveal ask the sources.
func (c Credentials) expire() {
	c.id.Expire()
	c.key.Expire()
	c.token.Expire()
}

// usable refuses what cannot be written into a request. Nothing is ever sent unsigned.
func usable(c aws.Credentials, name string) error {
	if !c.HasKeys() || !visible(c.AccessKeyID) || strings.ContainsAny(c.AccessKeyID, "/,") || c.SessionToken != "" && !visible(c.SessionToken) {
		return &secret.SourceError{Source: name, Reason: "is no access key"}
	}
	return nil
}

// visible tells whether s is one word of visible ASCII.
func visible(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
