package joined_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrors(t *testing.T) {
	t.Parallel()
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	wrapped := fmt.Errorf("wrapped: %w", c)
	assert.Empty(t, joined.Errors(nil))
	assert.Equal(t, []error{a}, joined.Errors(a))
	assert.Equal(t, []error{a, b, wrapped}, joined.Errors(errors.Join(a, errors.Join(b, nil, wrapped))))
}
