package main

import (
	"context"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func start(c webhook.Config) (*dispatcher.Engine, error) {
	hook, err := webhook.New(c) // URL alone is enough: HTTPS, to public addresses
	if err != nil {
		return nil, err
	}
	engine, err := dispatcher.New(dispatcher.Config{
		Routes: []dispatcher.Route{{Name: "audit", Channel: hook, Events: event.Types("request.*", "grant.*")}},
	})
	if err == nil {
		go engine.Run(context.Background())
	}
	return engine, err
}
