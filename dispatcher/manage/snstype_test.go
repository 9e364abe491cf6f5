package manage_test

import (
	"context"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// snsType stands for that of package snsconfig, which is a module of its own.
func snsType() config.Type {
	return config.Type{
		Doc:    "A topic of Amazon SNS.",
		Fields: []config.Field{{Name: "topic_arn", Required: true, Destination: true, Doc: "ARN of the topic."}},
		Make: func(config.Settings, config.Environment) (channel.Channel, error) {
			return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }), nil
		},
	}
}
