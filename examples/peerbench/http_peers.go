package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillhttp "github.com/ThreeDotsLabs/watermill-http/v2/pkg/http"
	"github.com/ThreeDotsLabs/watermill/message"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	cloudeventshttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nikoksr/notify"
	notifyhttp "github.com/nikoksr/notify/service/http"
	amcommon "github.com/prometheus/alertmanager/config/common"
	alertnotify "github.com/prometheus/alertmanager/notify"
	alertwebhook "github.com/prometheus/alertmanager/notify/webhook"
	alerttemplate "github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-go/tocsin/event"
)

// tunedTransport keeps as many connections as there are senders, which the default one does not.
func tunedTransport() *http.Transport {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{DialContext: dialer.DialContext, MaxIdleConns: 4 * sending, MaxIdleConnsPerHost: 4 * sending}
}

// roundTrip is the floor: a tuned transport, no client, headers made beforehand, no time limit.
func roundTrip() senderMaker {
	return senderMaker{
		name:   "net/http RoundTrip, tuned (floor)",
		traits: []string{"as given", "no", "status, by hand", "by hand", "no", "no"},
		open: func(target string) (sender, error) {
			u, err := url.Parse(target)
			if err != nil {
				return sender{}, err
			}
			transport := tunedTransport()
			transport.DisableCompression = true
			header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"peerbench"}}
			return sender{
				send: func(ctx context.Context, e event.Event) error {
					body := e.JSON()
					request := &http.Request{
						Method: http.MethodPost, URL: u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
						Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
					}
					return drained(transport.RoundTrip(request.WithContext(ctx)))
				},
				close: transport.CloseIdleConnections,
			}, nil
		},
	}
}

// httpClient is what one writes without a library: a client with a time limit, tuned or with defaults.
func httpClient(tuned bool) senderMaker {
	m := senderMaker{
		name:   "http.Client, with defaults",
		traits: []string{"as given", "no", "status, by hand", "by hand", "no", "no"},
	}
	if tuned {
		m.name = "http.Client, tuned"
	}
	m.open = func(target string) (sender, error) {
		client := &http.Client{Timeout: 30 * time.Second}
		if tuned {
			client.Transport = tunedTransport()
		}
		return sender{
			send: func(ctx context.Context, e event.Event) error {
				request, err := newPost(ctx, target, e)
				if err != nil {
					return err
				}
				return drained(client.Do(request))
			},
			close: client.CloseIdleConnections,
		}, nil
	}
	return m
}

func newPost(ctx context.Context, target string, e event.Event) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(e.JSON()))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

// drained reads the answer to its end, which keeps its connection, and judges it.
func drained(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// signingSecret is the secret of everybody who signs.
const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// standardWebhooks is the reference library of Standard Webhooks with a tuned http.Client.
func standardWebhooks() senderMaker {
	return senderMaker{
		name:   "standard-webhooks and http.Client, tuned",
		traits: []string{"as given", "Standard Webhooks", "status, by hand", "by hand", "no", "no"},
		open: func(target string) (sender, error) {
			hook, err := standardwebhooks.NewWebhook(signingSecret)
			if err != nil {
				return sender{}, err
			}
			client := &http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			return sender{
				send: func(ctx context.Context, e event.Event) error {
					request, err := newPost(ctx, target, e)
					if err != nil {
						return err
					}
					now := time.Now()
					signature, err := hook.Sign(e.ID(), now, e.JSON())
					if err != nil {
						return err
					}
					request.Header.Set(standardwebhooks.HeaderWebhookID, e.ID())
					request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
					request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
					return drained(client.Do(request))
				},
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}

// cloudEvents is the CloudEvents SDK in binary mode, its default, with a tuned http.Client.
func cloudEvents() senderMaker {
	return senderMaker{
		name:   "CloudEvents SDK, tuned",
		traits: []string{"CloudEvents, binary: the data as given", "no", "status in text; retries if asked for", "no", "no", "no"},
		open: func(target string) (sender, error) {
			client := http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			protocol, err := cloudevents.NewHTTP(cloudevents.WithTarget(target), cloudeventshttp.WithClient(client))
			if err != nil {
				return sender{}, err
			}
			c, err := cloudevents.NewClient(protocol)
			if err != nil {
				return sender{}, err
			}
			return sender{
				send: func(ctx context.Context, e event.Event) error {
					ce := cloudevents.NewEvent()
					ce.SetID(e.ID())
					ce.SetSource(e.Source())
					ce.SetType(string(e.Type()))
					ce.SetTime(e.Time())
					if err := ce.SetData(cloudevents.ApplicationJSON, e.Data()); err != nil {
						return err
					}
					if result := c.Send(ctx, ce); !cloudevents.IsACK(result) {
						return result
					}
					return nil
				},
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}

// shoutrrrSender is shoutrrr's generic service. It always uses the default transport: tuned means that this is, for the
// whole process.
func shoutrrrSender(tuned bool) senderMaker {
	m := senderMaker{
		name:   "shoutrrr, with defaults",
		traits: []string{"text as given, as text/plain", "no", "text; 10 s, then the request goes on unseen", "yes, without a bound", "no", "no"},
	}
	if tuned {
		m.name = "shoutrrr, default transport tuned"
	}
	m.open = func(target string) (sender, error) {
		router, err := shoutrrr.CreateSender("generic+" + target)
		if err != nil {
			return sender{}, err
		}
		transport := http.DefaultTransport.(*http.Transport) //nolint:forbidigo // what is measured uses it
		idle, perHost := transport.MaxIdleConns, transport.MaxIdleConnsPerHost
		if tuned {
			transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 4*sending, 4*sending
		}
		return sender{
			send: func(_ context.Context, e event.Event) error {
				return errors.Join(router.Send(string(e.JSON()), nil)...)
			},
			close: func() {
				transport.CloseIdleConnections()
				transport.MaxIdleConns, transport.MaxIdleConnsPerHost = idle, perHost
			},
		}, nil
	}
	return m
}

// notifySender is notify's HTTP service with a tuned http.Client. Its requests share one header, so it is complete
// before the first, which would write to it otherwise.
func notifySender() senderMaker {
	return senderMaker{
		name:   "nikoksr/notify, http service, tuned",
		traits: []string{"marshalled once more", "no", "text, with the URL", "no", "no", "no"},
		open: func(target string) (sender, error) {
			client := &http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			service := notifyhttp.New()
			service.WithClient(client)
			service.AddReceivers(&notifyhttp.Webhook{
				URL: target, Method: http.MethodPost, ContentType: "application/json",
				Header:       http.Header{"Content-Type": {"application/json"}, "User-Agent": {"peerbench"}},
				BuildPayload: func(_, message string) any { return json.RawMessage(message) },
			})
			n := notify.NewWithServices(service)
			return sender{
				send:  func(ctx context.Context, e event.Event) error { return n.Send(ctx, e.ID(), string(e.JSON())) },
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}

// watermillSender is watermill-http's publisher with a tuned http.Client.
func watermillSender() senderMaker {
	return senderMaker{
		name:   "watermill-http, tuned",
		traits: []string{"as given", "no", "text; 3xx is success", "no", "no", "no"},
		open: func(target string) (sender, error) {
			client := &http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			publisher, err := watermillhttp.NewPublisher(watermillhttp.PublisherConfig{
				MarshalMessageFunc: watermillhttp.DefaultMarshalMessageFunc, Client: client,
			}, watermill.NopLogger{})
			if err != nil {
				return sender{}, err
			}
			return sender{
				send: func(_ context.Context, e event.Event) error {
					return publisher.Publish(target, message.NewMessage(e.ID(), message.Payload(e.JSON())))
				},
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}

// alertmanagerSender is Alertmanager's webhook notifier with its default client, which is tuned already.
func alertmanagerSender() senderMaker {
	return senderMaker{
		name:   "Alertmanager, webhook notifier",
		traits: []string{"its own, of the alert, made for each delivery", "no", "whether to try again", "yes, without a bound", "no", "no"},
		open: func(target string) (sender, error) {
			t, err := alerttemplate.FromGlobs(nil)
			if err != nil {
				return sender{}, err
			}
			if t.ExternalURL, err = url.Parse("http://alertmanager.example"); err != nil {
				return sender{}, err
			}
			client := commoncfg.DefaultHTTPClientConfig
			log := slog.New(slog.DiscardHandler)
			n, err := alertwebhook.New(&alertwebhook.WebhookConfig{HTTPConfig: &client, URL: amcommon.SecretTemplateURL(target)}, t, log)
			if err != nil {
				return sender{}, err
			}
			ctx := alertnotify.WithGroupKey(context.Background(), "{}:{}")
			ctx = alertnotify.WithGroupLabels(ctx, model.LabelSet{})
			ctx = alertnotify.WithReceiverName(ctx, "on-call")
			ctx = alertnotify.WithNotificationReason(ctx, alertnotify.ReasonFirstNotification)
			return sender{
				send: func(_ context.Context, e event.Event) error {
					return n.Notify(ctx, alertOf(e)).Err()
				},
				close: func() {},
			}, nil
		},
	}
}
