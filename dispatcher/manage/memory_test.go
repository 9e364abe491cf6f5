package manage_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
)

func newMemory(t *testing.T) manage.Documents {
	m := manage.NewMemory()
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return m
}

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	managetest.Run(t, managetest.Suite{
		New:   newMemory,
		Close: func(d manage.Documents) error { return d.(*manage.Memory).Close() },
	})
}
