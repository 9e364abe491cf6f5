package sns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// Channel publishes to one topic. Make it with [New]. It is safe for concurrent use and printed without its
// configuration.
type Channel struct {
	core       *core
	topic      topic
	origin     string
	body       *template.Template // nil = the event's JSON
	subject    *template.Template // nil = none
	group      *template.Template // nil = the default
	attributes []Attribute
	maxSize    int
	total      time.Duration // of Send and Check
	logger     *slog.Logger
}

// private is what must not be printed: package fmt prints a struct that holds a Channel in an unexported field without
// asking the Channel, and then goes one pointer deep.
type core struct {
	sdk         *sns.Client
	client      *netguard.Client
	credentials source
	proxy       secret.Value // its password
}

var (
	_ channel.Channel = (*Channel)(nil)
	_ channel.Checker = (*Channel)(nil)
)

const copyARN = `copy it from the topic's page or from "aws sns list-topics"`

// New makes a Channel. The error joins a *channel.ConfigError for every problem found. It connects to nothing: whether
// there are credentials, and whether the guard allows the endpoint, shows with the first attempt.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	errs := []error{c.validate()}
	t, problem := parseTopic(c.TopicARN)
	switch {
	case c.TopicARN == "":
		errs = append(errs, configError(channel.CodeMissing, "TopicARN", "is empty", copyARN))
	case problem != "":
		errs = append(errs, configError(channel.CodeInvalid, "TopicARN", problem, copyARN))
	}
	endpoint, endpointErr := c.endpoint(t.region)
	client, clientErr := c.Guard.Client(netguard.ClientOptions{
		Limits: c.Limits, TLS: c.TLS, Proxy: c.Proxy, Timeouts: c.Timeouts,
	})
	credentials, credentialsErr := c.Credentials.source(t.region)
	errs = append(errs, endpointErr, channel.ConfigErrorsAt(clientErr, pkg, ""), credentialsErr)
	if err := errors.Join(errs...); err != nil {
		if client != nil {
			client.Close()
		}
		return nil, err
	}
	origin := netguard.Origin(endpoint)
	if c.TLS.InsecureSkipVerify {
		c.Logger.Warn("sns does not verify the endpoint's certificate", "origin", origin)
	}
	p := &core{client: client, credentials: credentials}
	if c.Proxy != nil {
		p.proxy = c.Proxy.Password
	}
	// Not made from the SDK's Config: what the environment and the AWS files say concerns the credentials alone, and
	// must not send events elsewhere.
	p.sdk = sns.New(sns.Options{
		Region:       t.region,
		BaseEndpoint: aws.String(origin),
		Retryer:      aws.NopRetryer{},
		HTTPSignerV4: signer{},
		HTTPClient:   client.HTTPClient(), // in place of the SDK's own, should a call ever lack its apiCall
	})
	return &Channel{
		core: p, topic: t, origin: origin, maxSize: c.MaxSize, total: c.Timeouts.Total, logger: c.Logger,
		body: c.Body, subject: c.Subject, group: c.Group, attributes: slices.Clone(c.Attributes),
	}, nil
}

// endpoint returns what to call.
func (c Config) endpoint(region string) (*url.URL, error) {
	raw := c.Endpoint
	if raw == "" && region != "" {
		e, err := sns.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sns.EndpointParameters{Region: &region})
		if err != nil {
			return nil, configError(channel.CodeInvalid, "TopicARN", "has a region without an endpoint for SNS", "correct it, or name the endpoint")
		}
		raw = e.URI.String()
	}
	if raw == "" { // without a region, which is reported already
		return nil, nil
	}
	u, err := netguard.ParseURL("Endpoint", raw, c.Limits)
	if err != nil {
		return nil, channel.ConfigErrorsAt(err, pkg, "")
	}
	if u.RequestURI() != "/" {
		return nil, configError(channel.CodeInvalid, "Endpoint", "has a path or a query", "give scheme, host and port only")
	}
	return u, nil
}

// Send makes one Publish request with d's event. It is a success when SNS has returned a message id, which is the
// receipt's ProviderID. Failures are *Error values; those of SNS depend on their code:
//
//   - Throttled, Throttling, KMSThrottling and the like: retry.Throttle for one second or what SNS asks for
//   - ExpiredToken, InvalidClientTokenId, SignatureDoesNotMatch, AuthorizationError and the like: transient, and the
//     credentials are fetched anew for the next attempt; while our clock is minutes away from the server's, the next
//     request is signed for the server's time
//   - NotFound, the topic does not exist: permanent, and channel.ErrGone
//   - InvalidParameter and other responses of status 400 about the request itself: permanent
//   - everything else, such as InternalError, EndpointDisabled, KMSDisabled, KMSNotFound and KMSAccessDenied, every 5xx
//     and a redirect: transient
//
// One without a response, or without credentials to sign with, is transient, but a refused destination is permanent,
// and after one over a certificate the next attempt waits for an hour. Config.Timeouts.Total limits all of it, making
// the message and fetching the credentials included.
//
// The receipt holds the request as it was written, or was to be written, and the response, without the credentials and
// the signature. Without credentials to sign with the request is the message alone. OutcomeUnknown is set when the
// request was written and no proper response came.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if ctx.Err() != nil {
		return channel.Receipt{}, c.contextError(ctx)
	}
	if d.Event.IsZero() {
		return channel.Receipt{}, retry.Permanent(c.newError(KindNoEvent))
	}
	ctx, cancel := context.WithTimeout(ctx, c.total)
	defer cancel()
	in, err := c.compose(ctx, d)
	if err != nil {
		return channel.Receipt{Request: c.unsent(nil)}, err
	}
	call, err := c.newCall(ctx)
	if err != nil {
		return channel.Receipt{Request: c.unsent(in.Message)}, err
	}
	out, err := c.core.sdk.Publish(ctx, in, call.apply)
	r := call.receipt()
	if err == nil {
		if id := aws.ToString(out.MessageId); id != "" && len(id) <= 100 && isVisibleASCII(id) {
			r.ProviderID = call.redactor.String(id)
			return r, nil
		}
	}
	r.OutcomeUnknown = r.OutcomeUnknown || call.status >= http.StatusOK && call.status < http.StatusMultipleChoices
	return r, c.callError(ctx, call, err)
}

// Check asks for the topic's attributes, which shows that the endpoint, the credentials and the topic are there, but
// not that publishing is allowed. It needs the permission sns:GetTopicAttributes, and fails without it although events
// may be delivered. Errors are those of Send.
func (c *Channel) Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return c.contextError(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.total)
	defer cancel()
	call, err := c.newCall(ctx)
	if err != nil {
		return err
	}
	if _, err := c.core.sdk.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &c.topic.arn}, call.apply); err != nil {
		return c.callError(ctx, call, err)
	}
	return nil
}

// Close closes the connections that no other channel shares and makes later Sends fail. Call it when no Send is running
// any more. It returns nil.
func (c *Channel) Close() error {
	c.core.client.Close()
	return nil
}

// Destination is the origin of the endpoint, such as "https://sns.eu-central-1.amazonaws.com".
func (c *Channel) Destination() string { return c.origin }

// unsent describes a request that could not be signed, or made.
func (c *Channel) unsent(message *string) *channel.Message {
	return &channel.Message{Start: http.MethodPost + " " + c.origin, Body: []byte(aws.ToString(message))}
}

// Format prints the topic and the endpoint only, whatever the verb, also of a copy.
func (c Channel) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "sns.Channel("+c.topic.arn+" at "+c.origin+")")
}
