package channel_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel"
)

func TestConfigErrorReadsAsOneLine(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, &channel.ConfigError{
		Package: "webhook", Path: "Headers[3].Name", Code: channel.CodeMissing, Problem: "is empty", Remedy: "give it",
	}, "webhook: Headers[3].Name is empty; give it")
	assert.EqualError(t, &channel.ConfigError{Problem: "is too large"}, "is too large")
}

func TestEditConfigErrorsVisitsEachMistake(t *testing.T) {
	t.Parallel()
	first, second := &channel.ConfigError{Package: "netguard", Path: "CAPEM"}, &channel.ConfigError{Package: "netguard", Path: "MinVersion"}
	other := errors.New("something else")
	edit := func(e *channel.ConfigError) { e.Package, e.Path = "webhook", "TLS."+e.Path }

	edited := channel.EditConfigErrors(errors.Join(first, other, errors.Join(second)), edit)
	assert.EqualError(t, edited, "webhook: TLS.CAPEM \nsomething else\nwebhook: TLS.MinVersion ")
	assert.ErrorIs(t, edited, other)
	assert.Equal(t, "CAPEM", first.Path, "the given errors stay as they are")
	assert.NoError(t, channel.EditConfigErrors(nil, edit))
}
