package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// serve has tenants manage their channels below /api, and delivers what the host dispatches, until ctx is done.
func serve(ctx context.Context, l net.Listener, o manage.Options, access func(*http.Request) (manage.Access, error), ready func(*manage.Service)) error {
	service, err := manage.New(ctx, o) // the store of documents, its keys, the queue, the history
	if err != nil {
		return err
	}
	api, err := service.Handler(manage.HandlerOptions{Access: access}) // who asks, and what they may do
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.StripPrefix("/api", api), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	go func() { _ = service.Run(ctx) }()
	ready(service) // the host's own: service.Dispatch(ctx, event)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(end), service.Shutdown(end))
}
