// Webhook sends a signed webhook whose body is a template and whose URL has secret parts, to a receiver on this machine
// that checks the signature. The secret is changed without a request being lost, a forged body is refused, and what is
// kept for people to look at shows none of the secrets. Nothing to install, nothing leaves the machine.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// Signing secrets are "whsec_" and at least 24 random bytes in base64. These are for show; yours come from a vault,
// with secret.Func, secret.File or secret.Env.
const (
	oldSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	newSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

const text = `{
  "text": "{{data.requester.name}} may use {{#each data.access_groups}}{{integration.name}}{{#unless @last}}, {{/unless}}{{/each}}",
  "permission": "{{data.access_groups.[0].access_units.[0].permission.name}}",
  "because": "{{data.justification}}"
}`

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	r, err := newReceiver(oldSecret)
	if err != nil {
		return err
	}
	defer r.Close()
	meddler := newMeddler(r)
	defer meddler.Close()
	body, err := template.Compile(text, template.Options{})
	if err != nil {
		return err
	}
	// Public addresses over HTTPS would be the default. The receiver is on this machine, which has to be allowed on
	// purpose.
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return err
	}
	s := scenario{out: out, receiver: r, config: webhook.Config{
		Guard:  guard,
		Limits: netguard.Limits{AllowInsecureHTTP: true},
		Masks: []secret.Mask{
			{Replacement: "{team}", Value: secret.Literal("T0451-pam")},
			{Replacement: "{token}", Value: secret.Literal("hQ8zL2vT")},
		},
		Body: webhook.TemplateBody(body),
	}}

	older := webhook.SigningKey{Secret: secret.Literal(oldSecret), NotAfter: time.Now().Add(24 * time.Hour)}
	newer := webhook.SigningKey{Secret: secret.Literal(newSecret)}
	rotating := webhook.Sign(signature.Standard, newer, older)
	s.say("The receiver knows the old secret. The sender signs with the new one too, for a day.")
	if err := s.send(ctx, r.URL, rotating, true); err != nil {
		return err
	}
	s.say("Meanwhile the receiver changes over to the new secret. No request is lost on the way.")
	if err := r.trust(newSecret); err != nil {
		return err
	}
	if err := s.send(ctx, r.URL, rotating, false); err != nil {
		return err
	}
	s.say("A day later the old secret is used no more. A receiver that slept through it notices.")
	older.NotAfter = time.Now().Add(-time.Second)
	if err := r.trust(oldSecret); err != nil {
		return err
	}
	if err := s.send(ctx, r.URL, webhook.Sign(signature.Standard, newer, older), false); err != nil {
		return err
	}
	s.say("Somebody in between changes a permission in the body. The signature does not fit any more.")
	if err := r.trust(newSecret); err != nil {
		return err
	}
	if err := s.send(ctx, meddler.URL, rotating, false); err != nil {
		return err
	}
	s.say("The receiver was called at " + *r.visited.Load() + ";\nthe history shows {team} and {token} in its place.")
	return nil
}

// scenario sends the same event again and again and prints what became of it.
type scenario struct {
	out      io.Writer
	receiver *receiver
	config   webhook.Config
}

func (s *scenario) say(text string) { fmt.Fprintf(s.out, "%s\n\n", text) }

// send makes one attempt with the given signature; whole prints all that a history keeps of the request.
func (s *scenario) send(ctx context.Context, origin string, signing webhook.Signing, whole bool) error {
	c := s.config
	c.URL, c.Sign = origin+"/hooks/{team}?token={token}", signing
	hook, err := webhook.New(c)
	if err != nil {
		return err
	}
	defer hook.Close()
	approved, _ := event.Sample(event.TypeRequestApproved)
	receipt, err := hook.Send(ctx, channel.Delivery{Event: approved, Route: channel.RouteID{Name: "chat"}, Attempt: 1})
	if receipt.Request == nil {
		return err // nothing was sent, which is not part of the scenario
	}
	signatures := strings.Split(receipt.Request.Header.Get("Webhook-Signature"), " ")
	if whole {
		fmt.Fprintf(s.out, "  %s\n", receipt.Request.Start)
		for _, name := range []string{"Webhook-Id", "Webhook-Timestamp"} {
			fmt.Fprintf(s.out, "  %s: %s\n", name, receipt.Request.Header.Get(name))
		}
		fmt.Fprintf(s.out, "  Webhook-Signature: %s\n\n", strings.Join(signatures, "\n                     "))
		fmt.Fprintf(s.out, "  %s\n\n", strings.ReplaceAll(string(receipt.Request.Body), "\n", "\n  "))
	}
	plural := map[bool]string{true: "signature", false: "signatures"}[len(signatures) == 1]
	verdict := "trusted"
	if reason := *s.receiver.reason.Load(); reason != "" {
		verdict = "refused, " + reason
	}
	fmt.Fprintf(s.out, "  %d %s; receiver: %s\n", len(signatures), plural, verdict)
	if err != nil {
		fmt.Fprintf(s.out, "  sender: %v\n", err)
	}
	fmt.Fprintln(s.out)
	return nil
}
