package main

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

func shutDown(engine *dispatcher.Engine) error {
	limited, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return engine.Shutdown(limited) // nil, or a *dispatcher.ShutdownError that says what is left
}
