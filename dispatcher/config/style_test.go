package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

func TestTheFiveStylesRoundTrip(t *testing.T) {
	t.Setenv("ITSM_HOOK", "not-a-real-hook")
	t.Setenv("SENDGRID_AUTHORIZATION", "Bearer x")
	for name, src := range styles(t) {
		set, err := config.Load(name, []byte(src), trusted())
		require.NoError(t, err)
		t.Logf("%s", set.Document.YAML())
		assert.NoError(t, set.Close())
	}
}
