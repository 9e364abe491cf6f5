package sns

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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

// Provider are credentials of the host's own. p is asked with every attempt, from many goroutines at once: put
// one that is slow into an aws.CredentialsCache, which is invalidated when SNS refuses what it holds.
func Provider(p aws.CredentialsProvider) Credentials {
	return Credentials{provider: func() aws.CredentialsProvider { return p }}
}

// parts are the values of Static, each with its path.
func (c Credentials) parts() [3]part {
	return [...]part{{"Credentials.AccessKeyID", c.id}, {"Credentials.SecretAccessKey", c.key}, {"Credentials.SessionToken", c.token}}
}

type part struct {
	path  string
	value secret.Value
}

func (c Credentials) isStatic() bool { return !c.id.IsZero() || !c.key.IsZero() || !c.token.IsZero() }

// validate returns what is wrong as far as it is known without asking a source.
func (c Credentials) validate() error {
	if c.provider != nil {
		if c.provider() == nil {
			return configError(channel.CodeMissing, "Credentials", "have a provider that is nil", "give one, or none for the SDK's default chain")
		}
		return nil
	}
	if !c.isStatic() {
		return nil
	}
	var errs []error
	for i, p := range c.parts() {
		switch {
		case p.value.IsZero() && i < 2:
			errs = append(errs, configError(channel.CodeMissing, p.path, "is missing", "give both the access key's id and its secret"))
		case p.value.IsKept():
			errs = append(errs, configError(channel.CodeStored, p.path, "stands for a value that was stored before", "give the value"))
		case !p.value.IsZero() && p.value.Source() == "literal": // another source may change
			if text, err := p.value.Reveal(context.Background()); err != nil || !isVisibleASCII(text) || i == 0 && !isKeyID(text) {
				errs = append(errs, configError(channel.CodeInvalid, p.path, "holds a character that it cannot have", "correct it, for example remove a line feed at the end"))
			}
		}
	}
	return errors.Join(errs...)
}

// source gives what to sign with. Both are functions, because package fmt looks into everything else.
type source struct {
	// retrieve returns a complete access key. The error is a *secret.SourceError, or that of ctx.
	retrieve func(ctx context.Context) (aws.Credentials, error)
	// invalidate makes the next retrieve ask anew what else would be taken from a cache.
	invalidate func()
}

// source takes Credentials that have been checked. It connects to nothing. The region is that of the services that the
// default chain may have to ask, unless the environment names one.
func (c Credentials) source(region string) (source, error) {
	switch {
	case c.provider != nil:
		return fromProvider(c.provider(), "AWS credentials provider"), nil
	case c.isStatic():
		return source{retrieve: c.reveal, invalidate: c.expire}, nil
	}
	// The SDK's own HTTP client, and so no Guard: this is the only place where credentials are fetched, and it knows
	// nothing of the Config. The mode is named because finding one out would ask the instance's metadata service here
	// and now.
	chain, err := config.LoadDefaultConfig(context.Background(),
		config.WithDefaultRegion(region), config.WithDefaultsMode(aws.DefaultsModeStandard))
	if err != nil { // its text may quote a line of the credentials file
		return source{}, configError(channel.CodeInvalid, "Credentials", "cannot be taken from the environment and the AWS configuration files", "run \"aws sts get-caller-identity\" as this user to see why")
	}
	return fromProvider(chain.Credentials, "AWS default credential chain"), nil
}

// fromProvider makes a source of a provider, whatever errors that has.
func fromProvider(p aws.CredentialsProvider, name string) source {
	s := source{invalidate: func() {}}
	if cache, ok := p.(interface{ Invalidate() }); ok {
		s.invalidate = cache.Invalidate
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
		return c, validKey(c, name)
	}
	return s
}

// reveal returns those that were given as they are now.
func (c Credentials) reveal(ctx context.Context) (aws.Credentials, error) {
	var texts [3]string
	for i, p := range c.parts() {
		if p.value.IsZero() {
			continue
		}
		var err error
		if texts[i], err = p.value.Reveal(ctx); err != nil {
			return aws.Credentials{}, err
		}
		if !isVisibleASCII(texts[i]) {
			return aws.Credentials{}, &secret.SourceError{Source: p.value.Source(), Reason: "is empty or holds a character that is not visible ASCII"}
		}
	}
	a := aws.Credentials{AccessKeyID: texts[0], SecretAccessKey: texts[1], SessionToken: texts[2]}
	return a, validKey(a, c.id.Source())
}

// expire makes the next reveal ask the sources.
func (c Credentials) expire() {
	c.id.Expire()
	c.key.Expire()
	c.token.Expire()
}

// validKey refuses what cannot be written into a request. Nothing is ever sent unsigned.
func validKey(c aws.Credentials, name string) error {
	if !c.HasKeys() || !isKeyID(c.AccessKeyID) || c.SessionToken != "" && !isVisibleASCII(c.SessionToken) {
		return &secret.SourceError{Source: name, Reason: "is no access key"}
	}
	return nil
}

// isKeyID reports whether s can be an access key's id, of which the others are separated by a slash in a signed
// request.
func isKeyID(s string) bool { return isVisibleASCII(s) && !strings.ContainsAny(s, "/,") }

// isVisibleASCII reports whether s is one word of visible ASCII.
func isVisibleASCII(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// signer signs each request with a signer of its own. The SDK's keeps the key that it derives for a day by the access
// key's id alone, so that a secret key which was wrong, and is corrected where it is kept, would go on being refused
// until midnight.
type signer struct{}

// SignHTTP is that of the SDK.
func (signer) SignHTTP(
	ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, options ...func(*v4.SignerOptions),
) error {
	return v4.NewSigner().SignHTTP(ctx, c, r, payloadHash, service, region, at, options...)
}
