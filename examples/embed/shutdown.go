package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

func serveUntilTerminated(engine *dispatcher.Engine, serve func(ctx context.Context) error) error {
	terminated, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(terminated); err != nil { // your product, until it is asked to end
		return err
	}
	limited, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return engine.Shutdown(limited) // nil, or a *dispatcher.ShutdownError that says what is left
}
