package oteldispatch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSeriesAreForgottenRatherThanKeptForEver(t *testing.T) {
	t.Parallel()
	var s series
	for i := range 3 * maxSeries {
		s.of(facts{tenant: fmt.Sprint(i)})
		assert.LessOrEqual(t, len(s.known), maxSeries)
	}
}
