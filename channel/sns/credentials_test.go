package sns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// instance is an instance metadata service (version 2) on loopback, which is not 169.254.169.254 but as much out of
// bounds for the guard. Every time it is asked it gives other credentials.
type instance struct {
	mu    sync.Mutex
	paths []string
	given int
}

func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paths = append(i.paths, r.Method+" "+r.URL.Path)
	const roles = "/latest/meta-data/iam/security-credentials/"
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = w.Write([]byte("metadata-token"))
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "metadata-token":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == roles:
		_, _ = w.Write([]byte("tocsin-role"))
	case r.URL.Path == roles+"tocsin-role":
		i.given++
		_, _ = fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","Expiration":%q,`+
			`"AccessKeyId":"ASIAR0LE%d","SecretAccessKey":"r0le-secret-%d","Token":"r0le-token-%d"}`,
			time.Now().Add(6*time.Hour).UTC().Format(time.RFC3339), i.given, i.given, i.given)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (i *instance) seen() (paths []string, given int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.paths...), i.given
}

// accepts makes the cloud take the credentials that the instance gave as the given one.
func (c *cloud) accepts(n *atomic.Int64) {
	c.secret = func(id string) (string, string, bool) {
		i := n.Load()
		return fmt.Sprintf("r0le-secret-%d", i), fmt.Sprintf("r0le-token-%d", i), id == fmt.Sprintf("ASIAR0LE%d", i)
	}
}

// onInstance gives the process the environment of a machine whose only credentials are those of its role.
func onInstance(t *testing.T) *instance {
	t.Helper()
	i := &instance{}
	empty := t.TempDir()
	for name, value := range map[string]string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": serve(t, i),
		"AWS_CONFIG_FILE":                   filepath.Join(empty, "config"),
		"AWS_SHARED_CREDENTIALS_FILE":       filepath.Join(empty, "credentials"),
		"HOME":                              empty,
	} {
		t.Setenv(name, value)
	}
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_EC2_METADATA_DISABLED", "AWS_REGION", "AWS_DEFAULT_REGION", "HTTP_PROXY", "http_proxy",
	} {
		t.Setenv(name, "")
	}
	return i
}

// The credentials come from where the guard lets nobody go, while the same guard keeps the events away from there: so
// they are fetched by another client. Neither server sees what is the other's.
func TestS68_CredentialsAndEventsNeverShareAClient(t *testing.T) {
	metadata := onInstance(t)
	receiver := newCloud()
	var current atomic.Int64
	current.Store(1)
	receiver.accepts(&current)
	target := serve(t, receiver)

	public := new(netguard.Guard) // loopback is refused
	var lines bytes.Buffer
	ch, err := sns.New(sns.Config{
		TopicARN: topicARN, Endpoint: target, Guard: public, Limits: netguard.Limits{AllowInsecureHTTP: true},
		Logger: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	require.NoError(t, err)
	defer ch.Close()
	paths, _ := metadata.seen()
	assert.Empty(t, paths, "New connects to nothing")
	receipt, err := ch.Send(t.Context(), sample())
	require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
	assert.Equal(t, retry.Result{Verdict: retry.VerdictPermanent}, retry.Classify(t.Context(), err))
	require.NotNil(t, receipt.Request, "what was to be sent is shown")
	assert.Contains(t, string(receipt.Request.Body), "Action=Publish")
	assert.NotContains(t, fmt.Sprint(*receipt.Request), "r0le")
	assert.False(t, receipt.OutcomeUnknown)
	_, given := metadata.seen()
	assert.Equal(t, 1, given, "the credentials were fetched past the guard")
	assert.Empty(t, receiver.seen(), "the event was not sent past it")
	assert.NotContains(t, err.Error(), "loopback")
	assert.Equal(t, 1, strings.Count(lines.String(), "level=WARN"))
	assert.Contains(t, lines.String(), "127.0.0.1: loopback", "which is for the operator's log")
	assert.NotContains(t, lines.String(), sample().Event.ID())

	// With a guard that has the key to this machine the event arrives, signed by the role.
	current.Store(2) // the second channel fetches its own
	ch = openRole(t, target)
	_, err = ch.Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, "Publish", single(t, receiver).form.Get("Action"))
	paths, _ = metadata.seen()
	for _, p := range paths {
		assert.Regexp(t, `^(PUT /latest/api/token|GET /latest/meta-data/iam/security-credentials/(tocsin-role)?)$`, p)
	}
}

// openRole makes a channel with the default chain.
func openRole(t *testing.T, target string) *sns.Channel {
	t.Helper()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	ch, err := sns.New(sns.Config{TopicARN: topicARN, Endpoint: target, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ch.Close()) })
	return ch
}

// Whatever the guard allows, an endpoint that is a metadata service is refused.
func TestS5_S68_AnEndpointIsNoMetadataService(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"} {
		ch := open(t, sns.Config{Endpoint: "http://" + address})
		_, err := ch.Send(t.Context(), sample())
		require.ErrorIs(t, err, netguard.ErrDestinationBlocked, address)
	}
}

// What the environment says about endpoints and proxies is for the credentials.
func TestS10_TheEnvironmentSendsNoEventElsewhere(t *testing.T) {
	onInstance(t)
	elsewhere := newCloud()
	other := serve(t, elsewhere)
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SNS", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, other)
	}
	ch, err := sns.New(sns.Config{TopicARN: topicARN, Guard: offline(t)})
	require.NoError(t, err)
	defer ch.Close()
	_, err = ch.Send(t.Context(), sample())
	assert.Equal(t, netguard.KindDNS, failure(t, err).Kind)
	assert.Contains(t, err.Error(), "https://sns.eu-west-1.amazonaws.com")
	assert.Empty(t, elsewhere.seen())
}

// offline is a guard without a name server.
func offline(t testing.TB) *netguard.Guard {
	t.Helper()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, &net.Resolver{
		PreferGo: true,
		Dial:     func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("offline") },
	})
	require.NoError(t, err)
	return guard
}

// ExpiredToken and RequestExpired are transient because the next attempt has new credentials.
func TestExpiredCredentialsAreFetchedAnew(t *testing.T) {
	for _, code := range []string{"ExpiredToken", "RequestExpired"} {
		t.Run(code, func(t *testing.T) {
			metadata := onInstance(t)
			receiver := newCloud()
			var current atomic.Int64
			current.Store(1)
			receiver.accepts(&current)
			receiver.answer = func(w http.ResponseWriter, n int, _ url.Values) bool {
				if n != 2 {
					return false
				}
				fail(w, http.StatusForbidden, code, "The security token included in the request is expired")
				current.Store(2)
				return true
			}
			ch := openRole(t, serve(t, receiver))
			_, err := ch.Send(t.Context(), sample())
			require.NoError(t, err)
			_, err = ch.Send(t.Context(), sample())
			assert.Equal(t, code, failure(t, err).Code)
			assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
			_, given := metadata.seen()
			assert.Equal(t, 1, given, "kept until then")
			_, err = ch.Send(t.Context(), sample())
			require.NoError(t, err)
			_, given = metadata.seen()
			assert.Equal(t, 2, given)
		})
	}
}

// A role without credentials is worth another attempt, and nothing is sent unsigned meanwhile.
func TestS48_WithoutCredentialsNothingIsSent(t *testing.T) {
	onInstance(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	receiver := newCloud()
	ch := openRole(t, serve(t, receiver))
	receipt, err := ch.Send(t.Context(), sample())
	assert.Equal(t, sns.KindSecret, failure(t, err).Kind)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.Contains(t, err.Error(), "AWS default credential chain could not be fetched")
	require.NotNil(t, receipt.Request)
	assert.Equal(t, string(sample().Event.JSON()), string(receipt.Request.Body), "the message, unsigned")
	assert.Empty(t, receiver.seen())
}

func TestABrokenCredentialsFileIsAConfigErrorWithoutItsText(t *testing.T) {
	onInstance(t)
	t.Setenv("AWS_PROFILE", "N0-SUCH-PROFILE")
	_, err := sns.New(local(t, sns.Config{Credentials: sns.Static(secret.Value{}, secret.Value{}, secret.Value{})}))
	require.NoError(t, err, "static credentials need no profile")
	_, err = sns.New(sns.Config{TopicARN: topicARN})
	e, ok := errors.AsType[*channel.ConfigError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "Credentials", e.Path)
	assert.NotContains(t, err.Error(), "N0-SUCH-PROFILE")
}

func TestProvidersOfTheHost(t *testing.T) {
	t.Parallel()
	good := aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secretKey}
	for name, row := range map[string]struct {
		credentials aws.Credentials
		err         error
		says        string // "" = it works
	}{
		"good":          {credentials: good},
		"no key":        {credentials: aws.Credentials{AccessKeyID: accessKeyID}, says: "is no access key"},
		"nothing":       {says: "is no access key"},
		"a line feed":   {credentials: aws.Credentials{AccessKeyID: accessKeyID + "\n", SecretAccessKey: secretKey}, says: "is no access key"},
		"a slash":       {credentials: aws.Credentials{AccessKeyID: accessKeyID + "/x", SecretAccessKey: secretKey}, says: "is no access key"},
		"a bad token":   {credentials: aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secretKey, SessionToken: "a\r\nb"}, says: "is no access key"},
		"an error":      {err: errors.New("vault://S3CRET-PATH is down"), says: "could not be fetched"},
		"an error code": {err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "S3CRET-PATH"}, says: "could not be fetched: AccessDenied"},
		"an odd code":   {err: &smithy.GenericAPIError{Code: "S3CRET-PATH\n"}, says: "could not be fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := newCloud()
			p := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return row.credentials, row.err })
			ch := open(t, sns.Config{Endpoint: serve(t, receiver), Credentials: sns.Provider(p)})
			_, err := ch.Send(t.Context(), sample())
			if row.says == "" {
				require.NoError(t, err)
				single(t, receiver)
				return
			}
			assert.Equal(t, sns.KindSecret, failure(t, err).Kind)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.True(t, strings.HasSuffix(err.Error(), "secret from AWS credentials provider "+row.says), "%v", err)
			_, ok := errors.AsType[*secret.SourceError](err)
			assert.True(t, ok)
			assert.Empty(t, receiver.seen())
		})
	}
}

// A cache of the host has to forget what SNS does not take, be it worth a retry or not.
func TestACacheOfTheHostIsInvalidated(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int64{
		"ExpiredToken": 2, "RequestExpired": 2, "InvalidClientTokenId": 2, "SignatureDoesNotMatch": 2, "UnrecognizedClientException": 2,
		"AuthorizationError": 2, "AccessDenied": 2, "SomethingNew": 2, "Throttling": 1, "InternalError": 1, "KMSNotFound": 1,
	} {
		receiver := newCloud()
		receiver.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
			fail(w, http.StatusForbidden, code, "")
			return true
		}
		var asked atomic.Int64
		cache := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			asked.Add(1)
			return aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secretKey}, nil
		}))
		ch := open(t, sns.Config{Endpoint: serve(t, receiver), Credentials: sns.Provider(cache)})
		for range 2 {
			_, err := ch.Send(t.Context(), sample())
			require.Error(t, err)
		}
		assert.Equal(t, want, asked.Load(), code)
	}
}

// Static credentials are read for every attempt, so that they can be replaced where they are kept.
func TestStaticCredentialsMayChange(t *testing.T) {
	t.Parallel()
	receiver := newCloud()
	file := filepath.Join(t.TempDir(), "key")
	ch := open(t, sns.Config{
		Endpoint: serve(t, receiver), Credentials: sns.Static(secret.Literal(accessKeyID), secret.File(file), secret.Value{}),
	})
	_, err := ch.Send(t.Context(), sample())
	assert.Equal(t, sns.KindSecret, failure(t, err).Kind)
	assert.Contains(t, err.Error(), "file "+file)
	require.NoError(t, os.WriteFile(file, []byte(secretKey+"\n"), 0o600))
	_, err = ch.Send(t.Context(), sample())
	require.NoError(t, err)
	single(t, receiver)
}

// What a source keeps is asked for again once SNS has refused it, so a rotated key does not cost an event.
func TestRefusedStaticCredentialsAreAskedForAnew(t *testing.T) {
	t.Parallel()
	receiver := newCloud()
	var asked atomic.Int64
	key := secret.Func("vault", func(context.Context) ([]byte, error) {
		if asked.Add(1) == 1 {
			return []byte("0ld/" + secretKey), nil
		}
		return []byte(secretKey), nil
	})
	ch := open(t, sns.Config{Endpoint: serve(t, receiver), Credentials: sns.Static(secret.Literal(accessKeyID), key, secret.Value{})})
	_, err := ch.Send(t.Context(), sample())
	assert.Equal(t, "SignatureDoesNotMatch", failure(t, err).Code)
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
	_, err = ch.Send(t.Context(), sample())
	require.NoError(t, err)
	_, err = ch.Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, int64(2), asked.Load(), "and kept again after that")
}

// All of an attempt is within the total timeout, what comes before the request included.
func TestTheTotalTimeoutCoversEverything(t *testing.T) {
	t.Parallel()
	receiver := newCloud()
	target := serve(t, receiver)
	slow := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	})
	waits, err := template.Compile("{{#each data.access_groups}}{{slow}}{{/each}}", template.Options{Mode: template.Text, Helpers: map[string]template.Helper{
		"slow": {Call: func([]any) (any, error) {
			wait, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer stop()
			<-wait.Done()
			return "x", nil
		}},
	}})
	require.NoError(t, err)
	for name, c := range map[string]sns.Config{"credentials": {Credentials: sns.Provider(slow)}, "template": {Body: waits}} {
		c.Endpoint, c.Timeouts = target, netguard.Timeouts{Total: 100 * time.Millisecond}
		_, err := open(t, c).Send(t.Context(), sample())
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, name)
	}
	err = open(t, sns.Config{Endpoint: target, Credentials: sns.Provider(slow), Timeouts: netguard.Timeouts{Total: 100 * time.Millisecond}}).Check(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Empty(t, receiver.seen())
}

// A provider that takes its time ends with the attempt.
func TestASlowProviderHonoursTheContext(t *testing.T) {
	t.Parallel()
	p := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	})
	ch := open(t, sns.Config{Endpoint: "http://127.0.0.1:1", Credentials: sns.Provider(p)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := ch.Send(ctx, sample())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = ch.Send(ctx, sample())
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, retry.VerdictPostponed, retry.Classify(ctx, err).Verdict)
}
