// Styles sends the same access request to a receiver on this machine in the styles of five privileged-access products,
// and prints what the receiver gets and what the sender keeps of it. Nothing to install, nothing leaves the machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	sample, _ := event.Sample(event.TypeRequestPending)
	request, err := event.Decode[event.RequestPending](sample)
	if err != nil {
		return err
	}
	request.Justification = "INC-48213: orders are charged twice"
	all, err := styles(request.AccessRequest)
	if err != nil {
		return err
	}
	// Public addresses over HTTPS would be the default. The receiver is on this machine, which has to be allowed on
	// purpose.
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return err
	}
	for _, s := range all {
		s.config.Guard, s.config.Limits = guard, netguard.Limits{AllowInsecureHTTP: true}
		if err := s.show(ctx, out); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	return nil
}

// show sends the event of s and prints both ends of it.
func (s style) show(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "── %s ──\n\n", s.title)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(out, "  %s %s\n", r.Method, r.RequestURI)
		for _, name := range append([]string{"Content-Type", "Authorization"}, s.headers()...) {
			if value := r.Header.Get(name); value != "" {
				fmt.Fprintf(out, "  %s: %s\n", name, value)
			}
		}
		fmt.Fprintf(out, "\n%s\n", readable(r.Header.Get("Content-Type"), body))
		w.WriteHeader(s.answers)
	}))
	defer receiver.Close()
	s.config.URL = receiver.URL + s.path
	hook, err := webhook.New(s.config)
	if err != nil {
		return err
	}
	defer hook.Close()
	receipt, err := hook.Send(ctx, channel.Delivery{Event: s.event, Route: channel.RouteID{Name: "example"}, Attempt: 1})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  → %s. Kept for the history: %s", receipt.Response.Start, strings.Replace(receipt.Request.Start, receiver.URL, "http://…", 1))
	for _, name := range append([]string{"Authorization"}, s.headers()...) {
		if value := receipt.Request.Header.Get(name); value != "" {
			fmt.Fprintf(out, ", %s: %s", name, value)
		}
	}
	fmt.Fprint(out, "\n\n")
	return nil
}

// headers lists the names of those that s has beyond the usual ones.
func (s style) headers() []string {
	var names []string
	for _, h := range s.config.Headers {
		names = append(names, h.Name)
	}
	return names
}

// most is how many lines of a body are shown.
const most = 19

// readable writes a body in lines: JSON as a template wrote it or indented, form variables one by one.
func readable(contentType string, body []byte) string {
	var lines []string
	var indented bytes.Buffer
	if values, err := url.ParseQuery(string(body)); contentType == "application/x-www-form-urlencoded" && err == nil {
		for name := range values {
			lines = append(lines, "  "+name+" = "+values.Get(name))
		}
		slices.Sort(lines)
	} else if bytes.ContainsRune(body, '\n') {
		for line := range strings.Lines(string(body)) {
			lines = append(lines, "  "+strings.TrimRight(line, "\n"))
		}
	} else if json.Indent(&indented, body, "  ", "  ") == nil {
		lines = strings.Split("  "+indented.String(), "\n")
	}
	if left := len(lines) - most; left > 0 {
		lines = append(lines[:most], fmt.Sprintf("  … and %d more lines", left))
	}
	return strings.Join(lines, "\n") + "\n"
}
