package config_test

import (
	"testing"

	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// The schema for editors is checked in. It is generated from the tables that documents are read by; run the tests with
// -update after a change of those.
func TestTheSchemaIsUpToDate(t *testing.T) {
	t.Parallel()
	golden(t, "schema.json", config.Schema(nil))
}
