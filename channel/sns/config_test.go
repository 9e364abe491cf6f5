package sns_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/template"
)

// fields lists the fields of the *ConfigErrors that err joins.
func fields(err error) (found []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			found = append(found, fields(e)...)
		}
		return found
	}
	if e, ok := errors.AsType[*channel.ConfigError](err); ok {
		return []string{e.Path}
	}
	return []string{fmt.Sprintf("%T", err)}
}

func TestConfigErrorsNameTheField(t *testing.T) {
	t.Parallel()
	text, header, html := compile(t, template.Text, "x"), compile(t, template.Header, "x"), compile(t, template.HTML, "x")
	id, literal := secret.Literal(accessKeyID), secret.Literal(secretKey)
	for name, row := range map[string]struct {
		change func(*sns.Config)
		fields []string
	}{
		"no topic":         {func(c *sns.Config) { c.TopicARN = "" }, []string{"TopicARN"}},
		"body for HTML":    {func(c *sns.Config) { c.Body = html }, []string{"Body"}},
		"subject of text":  {func(c *sns.Config) { c.Subject = text }, []string{"Subject"}},
		"group of text":    {func(c *sns.Config) { c.Group = text }, []string{"Group"}},
		"a small size":     {func(c *sns.Config) { c.MaxSize = 32<<10 - 1 }, []string{"MaxSize"}},
		"negative size":    {func(c *sns.Config) { c.MaxSize = -1 }, []string{"MaxSize"}},
		"too large a size": {func(c *sns.Config) { c.MaxSize = 1<<20 + 1 }, []string{"MaxSize"}},
		"limits":           {func(c *sns.Config) { c.Limits.Ports = []int{443, 0} }, []string{"Limits.Ports[1]"}},
		"endpoint, path":   {func(c *sns.Config) { c.Endpoint = "https://sns.test/path" }, []string{"Endpoint"}},
		"endpoint, query":  {func(c *sns.Config) { c.Endpoint = "https://sns.test/?q" }, []string{"Endpoint"}},
		"endpoint, user":   {func(c *sns.Config) { c.Endpoint = "https://us:S3CRET@sns.test" }, []string{"Endpoint"}},
		"endpoint, http":   {func(c *sns.Config) { c.Endpoint, c.Limits = "http://sns.test", netguard.Limits{} }, []string{"Endpoint"}},
		"endpoint, number": {func(c *sns.Config) { c.Endpoint = "https://0x7f000001" }, []string{"Endpoint"}},
		"no such TLS":      {func(c *sns.Config) { c.TLS.CAPEM = []byte("x") }, []string{"TLS.CAPEM"}},
		"id alone":         {func(c *sns.Config) { c.Credentials = sns.Static(id, secret.Value{}, secret.Value{}) }, []string{"Credentials.SecretAccessKey"}},
		"key alone":        {func(c *sns.Config) { c.Credentials = sns.Static(secret.Value{}, literal, secret.Value{}) }, []string{"Credentials.AccessKeyID"}},
		"token alone":      {func(c *sns.Config) { c.Credentials = sns.Static(secret.Value{}, secret.Value{}, literal) }, []string{"Credentials.AccessKeyID", "Credentials.SecretAccessKey"}},
		"a line feed": {func(c *sns.Config) {
			c.Credentials = sns.Static(secret.Literal("AKIA"), secret.Literal("x\n"), secret.Value{})
		}, []string{"Credentials.SecretAccessKey"}},
		"a slash in the id":   {func(c *sns.Config) { c.Credentials = sns.Static(secret.Literal("AK/IA"), literal, secret.Value{}) }, []string{"Credentials.AccessKeyID"}},
		"kept":                {func(c *sns.Config) { c.Credentials = sns.Static(id, secret.Kept(), secret.Value{}) }, []string{"Credentials.SecretAccessKey"}},
		"nil provider":        {func(c *sns.Config) { c.Credentials = sns.Provider(nil) }, []string{"Credentials"}},
		"attribute, mode":     {func(c *sns.Config) { c.Attributes = []sns.Attribute{{"a", text}} }, []string{"Attributes[0].Value"}},
		"attribute twice":     {func(c *sns.Config) { c.Attributes = []sns.Attribute{{"a", nil}, {"b", header}, {"a", nil}} }, []string{"Attributes[2].Name"}},
		"attribute taken":     {func(c *sns.Config) { c.Attributes = []sns.Attribute{{"event_type", nil}} }, []string{"Attributes[0].Name"}},
		"all at once, joined": {func(c *sns.Config) { c.TopicARN, c.MaxSize, c.Body = "x", -1, html }, []string{"MaxSize", "Body", "TopicARN"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := local(t, sns.Config{})
			row.change(&c)
			_, err := sns.New(c)
			require.Error(t, err)
			assert.ElementsMatch(t, row.fields, fields(err))
			for _, value := range []string{secretKey, "S3CRET", "0x7f000001"} {
				assert.NotContains(t, err.Error(), value)
			}
		})
	}
}

// Names of attributes as the Developer Guide wants them; ten in all, or queues with raw delivery lose the message.
func TestAttributeNamesAndNumber(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"a": true, "External-Key_1.x": true, strings.Repeat("n", 256): true, "awsome": true,
		"": false, "with space": false, "ü": false, ".a": false, "a.": false, "a..b": false, strings.Repeat("n", 257): false,
		"AWS.x": false, "aws.x": false, "AmaZon.x": false, "a:b": false, "a\n": false,
	} {
		_, err := sns.New(local(t, sns.Config{Attributes: []sns.Attribute{{Name: name}}}))
		assert.Equal(t, good, err == nil, "%q: %v", name, err)
	}
	var most []sns.Attribute
	for i := range 4 {
		most = append(most, sns.Attribute{Name: fmt.Sprint("a", i)})
	}
	_, err := sns.New(local(t, sns.Config{Attributes: most}))
	require.NoError(t, err)
	_, err = sns.New(local(t, sns.Config{Attributes: append(most, sns.Attribute{Name: "fifth"})}))
	assert.Equal(t, []string{"Attributes"}, fields(err))
}

func TestS69_TopicARNs(t *testing.T) {
	t.Parallel()
	for arn, endpoint := range map[string]string{
		topicARN: "https://sns.eu-west-1.amazonaws.com",
		fifoARN:  "https://sns.eu-west-1.amazonaws.com",
		"arn:aws-cn:sns:cn-north-1:123456789012:t":         "https://sns.cn-north-1.amazonaws.com.cn",
		"arn:aws-us-gov:sns:us-gov-west-1:123456789012:t":  "https://sns.us-gov-west-1.amazonaws.com",
		"arn:aws:sns:us-east-1:000000000000:local_topic-1": "https://sns.us-east-1.amazonaws.com",
	} {
		ch, err := sns.New(sns.Config{TopicARN: arn, Credentials: local(t, sns.Config{}).Credentials})
		require.NoError(t, err, arn)
		assert.Equal(t, "sns.Channel("+arn+" at "+endpoint+")", fmt.Sprintf("%+v", ch))
		require.NoError(t, ch.Close())
	}
	for _, arn := range []string{
		"x", "arn", "arn:aws:sns:eu-west-1:123456789012", "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sns:eu-west-1:123456789012:",
		"arn:aws:sns::123456789012:t", "arn:aws:sns:eu/west:123456789012:t", "arn:aws:sns:evil.example#:123456789012:t",
		"arn:aws:sns:eu-west-1?:123456789012:t", "arn:aws:sns:EU-WEST-1:123456789012:t", "arn:aws:sns:-eu:123456789012:t",
		"arn:aws:sns:eu-west-1@evil:123456789012:t", "arn:aws:sns:eu-west-1:12345:t", "arn:aws:sns:eu-west-1:12345678901x:t",
		"arn:evil:sns:eu-west-1:123456789012:t", "arn:aws:sns:eu-west-1:123456789012:t:sub-1234", "arn:aws:sns:eu-west-1:123456789012:.fifo",
		"arn:aws:sns:eu-west-1:123456789012:a.b", "arn:aws:sns:eu-west-1:123456789012:a b", "arn:aws:sns:eu-west-1:123456789012:" + strings.Repeat("n", 257),
		"arn:aws:sns:cn-northwest-1:123456789012:t", "arn:aws-cn:sns:eu-west-1:123456789012:t", "arn:aws-us-gov:sns:us-east-1:123456789012:t",
		"arn:aws:sns:us-gov-west-1:123456789012:t", "arn:aws-iso:sns:us-isob-east-1:123456789012:t",
		" " + topicARN, topicARN + "\n", "arn:aws:sns:eu-west-1:123456789012:ü",
	} {
		_, err := sns.New(local(t, sns.Config{TopicARN: arn}))
		assert.Equal(t, []string{"TopicARN"}, fields(err), "%q", arn)
	}
}

// TestPartitionsAreThoseOfTheSDK compares with the table that the SDK makes endpoints by.
func TestPartitionsAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "endpoints", "awsrulesfn", "partitions.json"))
	require.NoError(t, err)
	var table struct {
		Partitions []struct {
			ID      string                     `json:"id"`
			Regions map[string]json.RawMessage `json:"regions"`
		} `json:"partitions"`
	}
	require.NoError(t, json.Unmarshal(b, &table))
	regions := 0
	for _, p := range table.Partitions {
		for region := range p.Regions {
			if strings.HasSuffix(region, "-global") {
				continue // no topic is there
			}
			regions++
			for _, other := range table.Partitions {
				_, err := sns.New(local(t, sns.Config{TopicARN: "arn:" + other.ID + ":sns:" + region + ":123456789012:t"}))
				if other.ID == p.ID {
					assert.NoError(t, err, "%s in %s", region, p.ID)
				} else {
					assert.Equal(t, []string{"TopicARN"}, fields(err), "%s in %s", region, other.ID)
				}
			}
		}
	}
	assert.Greater(t, regions, 30)
}

// Whatever is given as an ARN, what is called is a host of AWS with the ARN's region as a label.
func FuzzTopicARN(f *testing.F) {
	for _, seed := range []string{topicARN, fifoARN, "arn:aws-cn:sns:cn-north-1:123456789012:t", "arn:aws:sns:evil.example/:123456789012:t", "arn:aws:sns:a:1:b"} {
		f.Add(seed)
	}
	credentials := sns.Static(secret.Literal(accessKeyID), secret.Literal(secretKey), secret.Value{})
	f.Fuzz(func(t *testing.T, arn string) {
		ch, err := sns.New(sns.Config{TopicARN: arn, Credentials: credentials})
		if err != nil {
			return
		}
		defer ch.Close()
		parts := strings.Split(arn, ":")
		require.Len(t, parts, 6)
		assert.Regexp(t, `^sns\.Channel\(\S+ at https://sns\.`+parts[3]+`(\.[a-z0-9-]+)+\)$`, fmt.Sprint(ch))
	})
}

func TestConfigAndChannelArePrintedWithoutWhatTheyHold(t *testing.T) {
	t.Parallel()
	c := local(t, sns.Config{Endpoint: "http://127.0.0.1:1"})
	assert.Equal(t, "sns.Config("+topicARN+")", fmt.Sprintf("%+v", c))
	assert.Equal(t, "sns.Config("+topicARN+")", c.LogValue().String())
	assert.Equal(t, "sns.Config(invalid TopicARN)", fmt.Sprint(sns.Config{TopicARN: secretKey}))
	assert.NotContains(t, fmt.Sprintf("%+v %#v", struct{ c sns.Config }{c}, struct{ c sns.Config }{c}), secretKey)
	ch := open(t, c)
	assert.Equal(t, "sns.Channel("+topicARN+" at http://127.0.0.1:1)", fmt.Sprintf("%#v", ch))
	assert.Equal(t, "sns.Channel("+topicARN+" at http://127.0.0.1:1)", fmt.Sprintf("%s", *ch), "a copy")
}

// No verb prints a credential of any value of this package, of a copy of it, or of what it is embedded in.
func TestCopiesArePrintedWithoutCredentials(t *testing.T) {
	t.Parallel()
	const proxyPassword = "pr0xy-passw0rd"
	type hostsChannel struct{ sns.Channel }
	type hostsPointer struct{ *sns.Channel }
	type hostsConfig struct{ sns.Config }
	type hidden struct {
		channel sns.Channel
		pointer *sns.Channel
		config  sns.Config
		keys    sns.Credentials
	}
	c := local(t, sns.Config{
		Endpoint:    "http://127.0.0.1:1",
		Credentials: sns.Static(secret.Literal(accessKeyID), secret.Literal(secretKey), secret.Literal(sessionToken)),
		Proxy: &netguard.Proxy{
			URL: "http://127.0.0.1:2", User: "us", Password: secret.Literal(proxyPassword), Profile: netguard.Profile{Loopback: true},
		},
	})
	ch := open(t, c)
	provided := sns.Provider(aws.CredentialsProviderFunc(nil))
	for _, v := range []any{
		ch, *ch, &ch, c, &c, c.Credentials, &c.Credentials, provided, c.Proxy, *c.Proxy,
		hostsChannel{*ch}, &hostsChannel{*ch}, hostsPointer{ch}, hostsConfig{c}, &hostsConfig{c},
		hidden{*ch, ch, c, c.Credentials}, &hidden{*ch, ch, c, c.Credentials}, []sns.Channel{*ch}, map[string]sns.Config{"c": c},
	} {
		for _, verb := range "vsqxXdbotTpeEfFgGcU" {
			for _, flags := range []string{"", "+", "#", " ", "-", "0"} {
				text := fmt.Sprintf("%"+flags+string(verb), v)
				for _, secretText := range []string{accessKeyID, secretKey, sessionToken, proxyPassword} {
					for _, form := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprintf("% x", secretText)} {
						assert.NotContains(t, strings.ToLower(text), strings.ToLower(form), "%%%s%c of %T", flags, verb, v)
					}
				}
			}
		}
	}
}

func TestS37_UnverifiedTLSIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	c := local(t, sns.Config{Endpoint: "https://127.0.0.1:1", TLS: netguard.TLS{InsecureSkipVerify: true}})
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	open(t, c)
	assert.Contains(t, log.String(), "level=WARN")
	assert.Contains(t, log.String(), "origin=https://127.0.0.1:1")
}
