package sns_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

func Example() {
	// What a real topic needs is its ARN: the credentials are then those of the environment, or of the machine's role.
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.FormValue("Action"), r.FormValue("TopicArn"))
		fmt.Println(r.FormValue("MessageGroupId"), "|", r.FormValue("Subject"))
		fmt.Fprint(w, `<PublishResponse><PublishResult><MessageId>94f20ce6</MessageId></PublishResult></PublishResponse>`)
	}))
	defer emulator.Close()
	here, err := netguard.New(netguard.Profile{Loopback: true}, nil) // the emulator is on this machine, without TLS
	if err != nil {
		fmt.Println(err)
		return
	}
	subject, err := template.Compile("{{data.friendly_id}} is approved", template.Options{Mode: template.Header})
	if err != nil {
		fmt.Println(err)
		return
	}
	topic, err := sns.New(sns.Config{
		TopicARN:    "arn:aws:sns:eu-west-1:123456789012:access-events.fifo",
		Subject:     subject,
		Credentials: sns.Static(secret.Literal("any"), secret.Literal("any"), secret.Value{}), // an emulator takes any
		Endpoint:    emulator.URL,
		Guard:       here,
		Limits:      netguard.Limits{AllowInsecureHTTP: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer topic.Close()

	request := event.RequestApproved{AccessRequest: event.AccessRequest{ID: "4f1c", FriendlyID: "AR-2047"}}
	approved, err := event.New(request, event.Meta{Tenant: "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := channel.Delivery{Event: approved, Route: channel.RouteID{Name: "audit"}, Attempt: 1}
	receipt, err := topic.Send(context.Background(), d)
	fmt.Println(receipt.ProviderID, err)
	// Output:
	// Publish arn:aws:sns:eu-west-1:123456789012:access-events.fifo
	// acme/4f1c | AR-2047 is approved
	// 94f20ce6 <nil>
}
