package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// No copy, no embedding and no verb of a type of this package shows a secret, nor do JSON and log handlers.
func TestNoCopyShowsASecret(t *testing.T) {
	environment(t)
	var settings config.Settings
	var environ config.Environment
	o := trusted()
	o.Types = config.NewRegistry(map[string]config.Type{"spy": {
		Fields: []config.Field{{Name: "key", Kind: config.Secret, Doc: "A key."}, {Name: "url", Kind: config.Address, Doc: "A URL."}},
		Make: func(s config.Settings, e config.Environment) (channel.Channel, error) {
			settings, environ = s, e
			return channel.Func(nil), nil
		},
	}})
	load(t, "a.yaml", "channels: [{type: spy, name: a, key: not-a-real-key, url: https://spy.example.com/not-a-real-hook}]", o)
	for name, src := range styles(t) {
		set := load(t, name, src, trusted())
		o := config.Options{Stored: set.Document, Previous: set}
		type embedding struct {
			config.Document
			config.Settings
			Set config.Set
		}
		type hiding struct {
			set      config.Set
			pointer  *config.Set
			document config.Document
			settings config.Settings
			options  config.Options
		}
		for _, thing := range []any{
			set, *set, set.Document, *set.Document, settings, &settings, environ, &environ, o, &o, set.Routes, // copies are what is tested
			embedding{*set.Document, settings, *set}, &embedding{*set.Document, settings, *set},
			hiding{*set, set, *set.Document, settings, o}, &hiding{*set, set, *set.Document, settings, o},
			[]config.Document{*set.Document}, map[string]config.Set{"a": *set},
		} {
			var texts []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
				texts = append(texts, fmt.Sprintf(verb, thing))
			}
			var logged bytes.Buffer
			slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "thing", thing)
			slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "thing", thing)
			written, _ := json.Marshal(thing)
			for _, text := range append(texts, logged.String(), string(written)) {
				for _, secret := range append(literals(), "not-a-real-hook") {
					assert.NotContains(t, text, secret, "%T", thing)
					assert.NotContains(t, text, fmt.Sprintf("%x", secret), "%T", thing)
				}
			}
		}
	}
}
