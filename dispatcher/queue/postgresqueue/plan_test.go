package postgresqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/internal/testserver"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// explaining are settings of a server that logs the plan of each statement, with the rows that each step has read.
func explaining() []string {
	return []string{
		"session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0", "auto_explain.log_analyze=on",
		"auto_explain.log_timing=off", "auto_explain.log_nested_statements=on", "auto_explain.log_format=json", "log_line_prefix=", "log_checkpoints=off",
	}
}

// TestPlansDoNotReadADeadLane: beside a closed lane with 200,000 waiting jobs, of which half have an order key, the
// same number of known ids, and dead letters, no statement of the ones that run all the time reads more than a few
// rows, with or without statistics.
func TestPlansDoNotReadADeadLane(t *testing.T) {
	t.Parallel()
	s := testserver.StartPostgreSQL(t, ping, explaining()...)
	q := openWith(t, s.Address(), Options{Schema: "tocsin", Lease: 10 * time.Second})
	require.NoError(t, execute(t.Context(), s.Address(), `SET auto_explain.log_min_duration = -1; SET session_replication_role = replica;
		INSERT INTO tocsin.lane (name) VALUES ('dead');
		INSERT INTO tocsin.event (seq, worker, keyed, jobs, format, body) SELECT n, 0, n % 2 = 0, 1, 1, '{}' FROM generate_series(1, 200000) n;
		INSERT INTO tocsin.job (seq, lane, due, generation, attempt, order_key, urgent)
			SELECT n, 1, CASE WHEN n % 2 = 0 AND n > 20000 THEN 9223372036854775807 ELSE 0 END, 0, 0,
			CASE WHEN n % 2 = 0 THEN convert_to('key' || n % 10000, 'UTF8') END, n % 7 = 0 FROM generate_series(1, 200000) n;
		INSERT INTO tocsin.known (key, digest, lanes) SELECT gen_random_uuid(), n, '\x00000001' FROM generate_series(1, 200000) n;
		INSERT INTO tocsin.dead (lane, job, seq, generation, attempt, urgent, died, ends, reason)
			SELECT 1, 'job' || n, n, 0, 0, false, n, 4e18::bigint, 'because' FROM generate_series(1, 50000) n;
		SELECT setval('tocsin.event_seq', 200000);`))
	const most = 5000 // rows of one step; a dead lane has forty times as many
	for round, statistics := range []string{"SELECT 1", "ANALYZE"} {
		require.NoError(t, execute(t.Context(), s.Address(), statistics))
		from := len(s.Log())
		exercise(t, q, fmt.Sprint(round))
		checked := 0
		for _, p := range plans(t, s.Log()[from:]) {
			if strings.Contains(p.Query, "count(*)") && strings.Contains(p.Query, ".job WHERE lane = $1") {
				continue // Count of a lane counts
			}
			p.Plan.walk(func(n *planNode) {
				checked++
				read := (n.Rows + n.Removed + n.Rechecked) * n.Loops
				assert.LessOrEqualf(t, read, float64(most), "%s of %s%s reads %v rows in\n%s", n.Type, n.Relation, n.Index, read, p.Query)
			})
		}
		require.Greater(t, checked, 100, "plans were logged")
	}
}

// exercise does what a queue does all day.
func exercise(t *testing.T, q *Queue, name string) {
	t.Helper()
	done := make(chan string, 1000)
	lane := "live" + name
	l, err := q.Open(lane, queue.LaneOptions{Limit: 4}, func(_ context.Context, j queue.Job) queue.Disposition {
		switch id := j.Event.ID(); {
		case strings.HasSuffix(id, "3") && j.Attempt == 0:
			return queue.Disposition{Action: queue.Retry, Delay: time.Millisecond, Began: time.Now()}
		case strings.HasSuffix(id, "7"):
			done <- id
			return queue.Disposition{Action: queue.Dead, Reason: "because"}
		default:
			done <- id
			return queue.Disposition{}
		}
	})
	require.NoError(t, err)
	var all []queue.Job
	for n := range 300 {
		e := event.Must(event.GrantRevoked{Reason: "because"}, event.Meta{ID: fmt.Sprintf("e%s-%d", name, n)})
		j := queue.Job{Event: e, Lane: lane, Enqueued: time.Now(), Urgent: n%5 == 0}
		if n%3 == 0 {
			j.OrderKey = fmt.Sprint("key", n%4)
		}
		all = append(all, j)
	}
	require.NoError(t, q.Enqueue(t.Context(), all...))
	require.NoError(t, q.Enqueue(t.Context(), all...))
	for range all {
		<-done
	}
	later := all[0]
	later.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, q.Schedule(t.Context(), "key", later))
	require.NoError(t, q.Schedule(t.Context(), "key", later))
	_, err = q.Cancel(t.Context(), lane, "key")
	require.NoError(t, err)
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	_, err = q.DeadLetters(t.Context(), queue.Selection{Lane: lane})
	require.NoError(t, err)
	_, err = q.DeadLetters(t.Context(), queue.Selection{LanePrefix: "live", Limit: 10})
	require.NoError(t, err)
	_, err = q.Requeue(t.Context(), queue.Selection{Lane: lane, Limit: 5}, 1)
	require.NoError(t, err)
	_, err = q.Discard(t.Context(), queue.Selection{Lane: lane})
	require.NoError(t, err)
	_, err = q.Purge(t.Context(), lane)
	require.NoError(t, err)
	_, err = q.Lanes(t.Context())
	require.NoError(t, err)
	cleanNow(t, q)
	require.NoError(t, l.Stop(t.Context()))
}

// plan is one that the server has logged.
type plan struct {
	Query string   `json:"Query Text"` //nolint:tagliatelle // the server's
	Plan  planNode `json:"Plan"`       //nolint:tagliatelle // as above
}

type planNode struct {
	Type      string     `json:"Node Type"`                     //nolint:tagliatelle // as above
	Relation  string     `json:"Relation Name"`                 //nolint:tagliatelle // as above
	Index     string     `json:"Index Name"`                    //nolint:tagliatelle // as above
	Rows      float64    `json:"Actual Rows"`                   //nolint:tagliatelle // as above
	Loops     float64    `json:"Actual Loops"`                  //nolint:tagliatelle // as above
	Removed   float64    `json:"Rows Removed by Filter"`        //nolint:tagliatelle // as above
	Rechecked float64    `json:"Rows Removed by Index Recheck"` //nolint:tagliatelle // as above
	Plans     []planNode `json:"Plans"`                         //nolint:tagliatelle // as above
}

func (n *planNode) walk(f func(*planNode)) {
	f(n)
	for i := range n.Plans {
		n.Plans[i].walk(f)
	}
}

// plans reads the plans in a log.
func plans(t *testing.T, log string) (all []plan) {
	t.Helper()
	for _, part := range strings.Split(log, "plan:\n")[1:] {
		var p plan
		if err := json.NewDecoder(strings.NewReader(part)).Decode(&p); err != nil {
			continue // the log was cut in the middle
		}
		all = append(all, p)
	}
	return all
}
