package config_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// httpReceiver passes on each request as it came: header and body.
func httpReceiver(t *testing.T) (origin string, got <-chan string) {
	t.Helper()
	requests := make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var whole strings.Builder
		assert.NoError(t, r.Header.Write(&whole))
		_, err := io.Copy(&whole, r.Body)
		assert.NoError(t, err)
		requests <- whole.String()
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL, requests
}

// mailReceiver takes every mail and passes on its header and body.
func mailReceiver(t *testing.T) (port int, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	mails := make(chan string, 10)
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			clients.Go(func() { takeMails(c, mails) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); clients.Wait() })
	return l.Addr().(*net.TCPAddr).Port, mails
}

func takeMails(c net.Conn, mails chan<- string) {
	defer c.Close()
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	say("220 relay.example")
	for in := bufio.NewScanner(c); in.Scan(); {
		switch in.Text() {
		case "DATA":
			say("354 go on")
			var mail strings.Builder
			for in.Scan() && in.Text() != "." {
				mail.WriteString(in.Text() + "\n")
			}
			mails <- mail.String()
		case "QUIT":
			say("221 bye")
			return
		}
		say("250 ok")
	}
}

// Whatever kind of channel, preset or body sends it: who gets a test event sees that it is one, and no other event has
// the mark. A kind that is new needs its line here.
func TestEveryKindOfChannelMarksTests(t *testing.T) {
	t.Parallel()
	const title, header = "TEST: ", "Tocsin-Test: true"
	kinds := map[string]struct{ fields, mark string }{
		"slack":   {"url: ORIGIN/services/T0/B0/x, interval: none", title},
		"email":   {"smtp_host: 127.0.0.1, smtp_port: PORT, smtp_tls: none, from_address: a@example.com, to_addresses: [b@example.com]", "Subject: " + title},
		"webhook": {"url: ORIGIN", `"test":true`},

		"webhook preset datadog":    {"url: ORIGIN, preset: {product: datadog, api_key: not-a-real-key}", title},
		"webhook preset discord":    {"url: ORIGIN, preset: {product: discord}", title},
		"webhook preset jira":       {"url: ORIGIN, preset: {product: jira, project: PAM, issue_type: Task}", title},
		"webhook preset pagerduty":  {"url: ORIGIN, preset: {product: pagerduty, routing_key: not-a-real-key}", title},
		"webhook preset sendgrid":   {"url: ORIGIN, preset: {product: sendgrid, api_key: not-a-real-key, from: a@example.com, to: [b@example.com]}", title},
		"webhook preset servicenow": {"url: ORIGIN, preset: {product: servicenow}", title},
		"webhook preset splunk":     {"url: ORIGIN, preset: {product: splunk, token: not-a-real-key}", title},
		"webhook preset teams":      {"url: ORIGIN, preset: {product: teams}", title},

		"webhook body event":       {"url: ORIGIN, body: {kind: event}", `"test":true`},
		"webhook body form":        {"url: ORIGIN, body: {kind: form}", "test=true"},
		"webhook body alert":       {"url: ORIGIN, body: {kind: alert}", title},
		"webhook body cloudevents": {"url: ORIGIN, body: {kind: cloudevents, source: /pam}", `"test":"true"`},
		"webhook body template":    {`url: ORIGIN, body: {kind: template, template: '"{{data.rule_id}}"'}`, header},
		"webhook body macros":      {`url: ORIGIN, body: {kind: macros, names: paths, template: '"%%data.rule_id%%"'}`, header},
		"webhook body static":      {"url: ORIGIN, body: {kind: static, text: '{}'}", header},
	}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	assert.ElementsMatch(t, config.Kinds(), names)
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin, got := httpReceiver(t)
			port, mails := mailReceiver(t)
			limits := netguard.Limits{AllowInsecureHTTP: true}
			if name == "email" {
				got, limits.Ports = mails, []int{port}
			}
			typ, _, _ := strings.Cut(name, " ")
			src := fmt.Sprintf("channels:\n  - {type: %s, name: a, network: here, limits: here, %s}\nroutes:\n  - {name: a, channel: a}\n", typ,
				strings.NewReplacer("ORIGIN", origin, "PORT", fmt.Sprint(port)).Replace(kind.fields))
			set := load(t, "a.yaml", src, config.Options{
				Networks: map[string]*netguard.Guard{"here": guard},
				Limits:   map[string]netguard.Limits{"here": limits},
			})
			send := func(e event.Event) string {
				// Not every product takes the receiver's answer for one of its own.
				_, err := set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "a"}, Attempt: 1})
				select {
				case arrived := <-got:
					return arrived
				default:
					require.Fail(t, "nothing arrived", "%v", err)
					return ""
				}
			}
			test, err := event.SampleForTest(event.TypeAlertOpened, event.Meta{Tenant: "acme"})
			require.NoError(t, err)
			if usual := send(sample(t, event.TypeAlertOpened)); assert.NotContains(t, usual, kind.mark) {
				assert.NotContains(t, usual, "TEST")
				assert.NotContains(t, usual, "Tocsin-Test")
			}
			assert.Contains(t, send(test), kind.mark)
		})
	}
}
