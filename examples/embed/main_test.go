package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program really gets SIGTERM while its deliveries are under way: all that is due arrives, the rest is reported.
func TestSigtermDeliversWhatIsDue(t *testing.T) {
	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer receiver.Close()
	var out bytes.Buffer
	require.NoError(t, run(receiver.URL, &out))
	assert.Equal(t, int64(burst), arrived.Load())
	assert.Contains(t, out.String(), `"tocsin.schedule" 1 queued`, "tomorrow's reminder is named as left")
}

// A tenant's document is loaded, edited and removed, beside one of another tenant with the same names.
func TestRecipeForManyTenants(t *testing.T) {
	receivers := map[string]*webhooktest.Server{"acme": webhooktest.Start(t, webhooktest.Options{}), "globex": webhooktest.Start(t, webhooktest.Options{})}
	engine, err := start(receivers["acme"].Config())
	require.NoError(t, err)
	tenants := map[string]*tenant{}
	for id, receiver := range receivers {
		tenants[id] = &tenant{config.Options{Tenant: id, Networks: map[string]*netguard.Guard{"public": receiver.Config().Guard},
			Limits: map[string]netguard.Limits{"default": receiver.Config().Limits}}}
		src := fmt.Appendf(nil, "channels: [{type: webhook, name: audit, url: %s/audit}]\nroutes: [{name: audit, channel: audit}]", receiver.URL)
		next, err := config.Load(id+".yaml", src, tenants[id].Options)
		require.NoError(t, tenants[id].put(t.Context(), engine, next, err))
	}
	received := func(n int) (lines []string) {
		t.Helper()
		for id, receiver := range receivers {
			require.NoError(t, engine.Dispatch(t.Context(), event.Must(event.SessionStarted{}, event.Meta{Tenant: id})))
			if tenants[id].Previous != nil {
				require.NoError(t, receiver.Wait(t.Context(), n))
				last := receiver.Requests()[n-1]
				lines = append(lines, id+" "+last.Method+" "+last.URI)
			}
		}
		slices.Sort(lines)
		return lines
	}
	assert.Equal(t, []string{"acme POST /audit", "globex POST /audit"}, received(1))
	acme := tenants["acme"]
	form := bytes.Replace(acme.Previous.Document.Channel("audit"), []byte("{"), []byte(`{"method": "PUT",`), 1)
	require.NoError(t, acme.edit(t.Context(), engine, "audit", form))
	assert.Equal(t, []string{"acme PUT /audit", "globex POST /audit"}, received(2))
	require.ErrorContains(t, acme.edit(t.Context(), engine, "audit", []byte(`{"type": "webhook", "uri": "x"}`)), "uri is not a field")
	require.NoError(t, acme.put(t.Context(), engine, nil, nil))
	assert.Equal(t, []string{"globex POST /audit"}, received(3))
	assert.Len(t, receivers["acme"].Requests(), 2)
	require.NoError(t, shutDown(engine))
	require.NoError(t, tenants["globex"].Previous.Close())
}

// The README shows these files whole, but for the package clause, so that what a reader copies compiles.
func TestReadmeShowsThisProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for _, name := range []string{"start.go", "shutdown.go", "tenant.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		code := strings.TrimPrefix(string(source), "package main\n\n")
		assert.Contains(t, string(readme), "```go\n"+code+"```", name)
		if name == "tenant.go" {
			assert.LessOrEqual(t, strings.Count(code, "\n"), 25, "the recipe as a whole")
			continue
		}
		body := code[strings.Index(code, "\nfunc "):]
		assert.LessOrEqual(t, strings.Count(body, "\n")-3, 12, "%s: at most 12 lines of wiring", name)
	}
}
