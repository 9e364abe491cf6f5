package postgresqueue

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the server says when it refuses a connection names the role, the database or the address.
func TestErrorsNameNoUser(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(u *url.URL){
		"role":     func(u *url.URL) { u.User = url.UserPassword("hidden_role", "hidden_password") },
		"database": func(u *url.URL) { u.Path = "/hidden_database" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(serverURL(t))
			require.NoError(t, err)
			change(u)
			_, err = Open(t.Context(), poolConfig(t, u.String()), Options{})
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "hidden")
			assert.NotContains(t, err.Error(), u.Host)
		})
	}
}
