package sns_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/sns"
)

// BenchmarkSend is what an attempt costs, server included; its floor is the SDK with the same client and the same
// message.
func BenchmarkSend(b *testing.B) {
	target := serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		publish(w)
	}))
	c := local(b, sns.Config{Endpoint: target})
	d := sample()

	b.Run("channel", func(b *testing.B) {
		ch := open(b, c)
		b.ReportAllocs()
		for b.Loop() {
			_, err := ch.Send(b.Context(), d)
			require.NoError(b, err)
		}
	})
	b.Run("floor: the SDK alone", func(b *testing.B) {
		guarded, err := c.Guard.Client(netguard.ClientOptions{Limits: c.Limits})
		require.NoError(b, err)
		defer guarded.Close()
		client := sdk.New(sdk.Options{
			Region: "eu-west-1", BaseEndpoint: &target, HTTPClient: guarded.HTTPClient(), Retryer: aws.NopRetryer{},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secretKey}, nil
			}),
		})
		in := &sdk.PublishInput{
			TopicArn: aws.String(topicARN), Message: aws.String(string(d.Event.JSON())), MessageAttributes: make(map[string]types.MessageAttributeValue),
		}
		for _, name := range []string{"delivery_id", "event_type", "severity", "subject", "route"} {
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("about twenty letters")}
		}
		b.ReportAllocs()
		for b.Loop() {
			_, err := client.Publish(b.Context(), in)
			require.NoError(b, err)
		}
	})
}
