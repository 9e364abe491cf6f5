package manage_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// A host's whole wiring: a store, its keys, who may do what, and an orderly end. Everything that the host dispatches
// goes to the channels that its tenants have made through the API.
func Example_host() {
	key := make([]byte, manage.KeySize) // from the host's own vault
	_, _ = rand.Read(key)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	sealer, err := manage.NewKeys("2026", map[string][]byte{"2026": key})
	if err != nil {
		log.Fatal(err)
	}
	service, err := manage.New(ctx, manage.Options{Documents: manage.NewMemory(), Sealer: sealer})
	if err != nil {
		log.Fatal(err)
	}
	api, err := service.Handler(manage.HandlerOptions{Access: func(r *http.Request) (manage.Access, error) {
		tenant, actor, ok := session(r)
		if !ok {
			return manage.Access{}, manage.ErrUnauthenticated
		}
		return manage.Access{Tenant: tenant, Actor: actor, Role: manage.Editor | manage.Operator}, nil
	}})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.StripPrefix("/api", api), ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	go func() { _ = service.Run(ctx) }()

	req, _ := http.NewRequest(http.MethodPost, "http://"+listener.Addr().String()+"/api/v1/notification-channels/slack-webhook",
		strings.NewReader(`{"name": "security", "webhook_url": "https://hooks.slack.com/services/T0/B0/x", "event_filters": ["request.break_glass"]}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cookie", "session=priya@acme")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	_ = resp.Body.Close()
	fmt.Println(resp.Status)

	stop() // <-ctx.Done() in a program
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = server.Shutdown(end)
	if err := service.Shutdown(end); err != nil {
		log.Println(err)
	}
	// Output: 201 Created
}

// session stands for the host's own.
func session(r *http.Request) (tenant, actor string, ok bool) {
	c, err := r.Cookie("session")
	if err != nil {
		return "", "", false
	}
	actor, tenant, ok = strings.Cut(c.Value, "@")
	return tenant, actor, ok
}
