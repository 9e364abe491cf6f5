package postgresqueue

import (
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

func TestMigratesInEightProcessesAtOnce(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	for range runs(2) {
		schema := newSchema(t, url)
		self, err := os.Executable()
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				cmd := exec.Command(self)
				cmd.Env = append(os.Environ(), openOnly+"="+storeOf(url, schema))
				out, err := cmd.CombinedOutput()
				assert.NoError(t, err, string(out))
			})
		}
		all.Wait()
		q := openAt(t, url, schema)
		version, err := q.store.db.version(t.Context())
		require.NoError(t, err)
		assert.Len(t, migrations(), version)
	}
}

// A step that fails leaves nothing of it, and not the version.
func TestMigratesAllOrNothing(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	d := q.store.db
	steps := append(migrations(), "ALTER TABLE tocsin.job ADD COLUMN more int; SELECT 1/0;")
	require.Error(t, d.migrate(t.Context(), steps))
	version, err := d.version(t.Context())
	require.NoError(t, err)
	assert.Len(t, migrations(), version)
	steps[len(steps)-1] = "ALTER TABLE tocsin.job ADD COLUMN more int NOT NULL DEFAULT 1;"
	require.NoError(t, d.migrate(t.Context(), steps))
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a")), "the version before goes on meanwhile")

	var newer *SchemaError
	_, err = Open(t.Context(), poolConfig(t, serverURL(t)), Options{Schema: d.schema})
	require.ErrorAs(t, err, &newer)
	assert.Equal(t, SchemaError{Schema: d.schema, Found: len(steps), Known: len(migrations())}, *newer)
}

func TestNoMigration(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	o := Options{Schema: schema, NoMigration: true, Lease: testLease}
	_, err := Open(t.Context(), poolConfig(t, url), o)
	require.ErrorIs(t, err, ErrSchema)
	require.NoError(t, Migrate(t.Context(), poolConfig(t, url), Options{Schema: schema}))
	require.NoError(t, Migrate(t.Context(), poolConfig(t, url), Options{Schema: schema}), "again")
	q := openWith(t, url, o)
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a")))
}

// TestRole: what the package documentation lists is enough for everything, and a role that only dispatches needs less.
func TestRoles(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	require.NoError(t, Migrate(t.Context(), poolConfig(t, url), Options{Schema: schema}))
	role := schema + "_role"
	t.Cleanup(func() { _ = execute(t.Context(), url, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	require.NoError(t, execute(t.Context(), url, "CREATE ROLE "+role+" LOGIN; GRANT USAGE ON SCHEMA "+schema+" TO "+role+
		"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+schema+" TO "+role+"; GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "+schema+" TO "+role))
	t.Cleanup(func() { _ = execute(t.Context(), url, "SELECT 1") })
	config := poolConfig(t, url)
	config.ConnConfig.User = role
	q, err := Open(t.Context(), config, Options{Schema: schema, Lease: testLease})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	exercise(t, q, "role")
}

func TestRefusesOptions(t *testing.T) {
	t.Parallel()
	config := poolConfig(t, "postgres://nobody:secret@127.0.0.1:1/none")
	for path, o := range map[string]Options{
		"Schema":   {Schema: `x"; DROP SCHEMA y`},
		"Lease":    {Lease: time.Millisecond},
		"Timeout":  {Timeout: -1},
		"IDWindow": {IDWindow: time.Second},
	} {
		_, err := Open(t.Context(), config, o)
		var mistake *channel.ConfigError
		require.ErrorAs(t, err, &mistake)
		assert.Equal(t, path, mistake.Path)
	}
}

// TestErrorsHoldNoAddress: what is printed of an error says what was being done, and nothing of the connection.
func TestErrorsHoldNoAddress(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://someuser:secret@127.0.0.1:1/somedatabase?sslmode=disable",
		"postgres://someuser:secret@host.invalid:5432/somedatabase",
	} {
		_, err := Open(t.Context(), poolConfig(t, url), Options{})
		var e *StoreError
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, ErrConnection)
		assert.Contains(t, err.Error(), "postgresqueue: open: ")
		for _, part := range []string{"secret", "someuser", "somedatabase", "127.0.0.1", "host.invalid"} {
			assert.NotContains(t, err.Error(), part)
		}
	}
}
