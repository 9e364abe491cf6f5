package main

import (
	"context"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

type tenant struct{ config.Options } // Tenant: its id. Previous: what is in force, nil = nothing. One change at a time

func (t *tenant) put(ctx context.Context, engine *dispatcher.Engine, next *config.Set, err error) error {
	if err == nil { // otherwise every mistake, with line and remedy
		t.Previous, err = config.Apply(ctx, engine, nil, t.Previous, next)
	}
	return err // an *InUseError if ctx ended while channels that were replaced still send: next is in force
}

func (t *tenant) edit(ctx context.Context, engine *dispatcher.Engine, channel string, form []byte) error {
	edited, err := t.Previous.Document.SetChannel(channel, form, t.Options)
	if err != nil {
		return err
	}
	next, err := edited.Load(t.Options)
	return t.put(ctx, engine, next, err)
}
