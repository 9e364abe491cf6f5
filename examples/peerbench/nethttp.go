package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

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
		traits: senderTraits{"as given", "no", "status, by hand", "by hand", "no", "no"},
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

// httpClient is what one writes without a library: a client with a time limit, tuned or as it comes.
func httpClient(tuned bool) senderMaker {
	m := senderMaker{
		name:   "http.Client, as it comes",
		traits: senderTraits{"as given", "no", "status, by hand", "by hand", "no", "no"},
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
