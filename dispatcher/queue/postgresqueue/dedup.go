package postgresqueue

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tocsin-go/tocsin/dedup"
)

// dedupStore keeps in the queue's database what was delivered, and what is being. A row with a token is a claim.
type dedupStore struct{ queue *Queue }

// Dedup returns the dedup store in the queue's database: all processes share it, and what it knows outlasts them. A
// claim and its end cost a transaction each. Rows are removed a minute or more after they have ended. After Close its
// calls return ErrClosed.
func (q *Queue) Dedup() dedup.Store { return dedupStore{q} }

// Claim implements dedup.Store.
func (s dedupStore) Claim(ctx context.Context, key string, d time.Duration) (dedup.Claim, error) {
	if err := dedup.ValidateCall(ctx, key, d); err != nil {
		return dedup.Claim{}, err
	}
	token := newToken()
	for {
		var claim dedup.Claim
		var found bool
		err := s.queue.send(ctx, "claim a key", func(b *batch) {
			b.add(`INSERT INTO tocsin.record AS r (kind, key, token, ends)
				VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond')
				ON CONFLICT (kind, key) DO UPDATE SET token = EXCLUDED.token, ends = EXCLUDED.ends WHERE r.ends <= clock_timestamp()`,
				kindDone, []byte(key), token, microseconds(d))
			b.rows(func(row pgx.Rows) error {
				var holder pgtype.UUID
				var left int64
				err := row.Scan(&holder, &left)
				found = true
				switch {
				case holder == token:
					claim = dedup.Claim{State: dedup.Acquired, Token: token.String()}
				case holder.Valid:
					claim = dedup.Claim{State: dedup.InFlight, Remaining: max(time.Duration(left)*time.Microsecond, 1)}
				default:
					claim = dedup.Claim{State: dedup.Done, Remaining: max(time.Duration(left)*time.Microsecond, 1)}
				}
				return err
			}, `SELECT token, (extract(epoch FROM ends - clock_timestamp()) * 1000000)::bigint FROM tocsin.record WHERE kind = $1 AND key = $2`,
				kindDone, []byte(key))
		})
		if err != nil || found { // else it was released in between
			return claim, err
		}
	}
}

func newToken() pgtype.UUID {
	t := pgtype.UUID{Valid: true}
	_, _ = rand.Read(t.Bytes[:]) // never fails
	return t
}

// Commit implements dedup.Store.
func (s dedupStore) Commit(ctx context.Context, key, token string, ttl time.Duration) error {
	if err := dedup.ValidateCall(ctx, key, ttl); err != nil {
		return err
	}
	// Whatever ctx says then: a delivery that was made must not be made again for lack of time.
	return s.change(context.WithoutCancel(ctx), "store a delivered key", key, token,
		"UPDATE tocsin.record SET token = NULL, ends = clock_timestamp() + $4 * interval '1 microsecond'", microseconds(ttl))
}

// Release implements dedup.Store.
func (s dedupStore) Release(ctx context.Context, key, token string) error {
	if err := dedup.ValidateCall(ctx, key, 1); err != nil {
		return err
	}
	return s.change(ctx, "release a key", key, token, "DELETE FROM tocsin.record")
}

// change changes a claim that is the token's and has not ended, or returns dedup.ErrLost.
func (s dedupStore) change(ctx context.Context, op, key, token string, text string, more ...any) error {
	var held pgtype.UUID
	if held.Scan(token) != nil {
		return dedup.ErrLost
	}
	changed := 0
	err := s.queue.send(ctx, op, func(b *batch) {
		b.add(text+" WHERE kind = $1 AND key = $2 AND token = $3 AND ends > clock_timestamp()",
			append([]any{kindDone, []byte(key), held}, more...)...).Exec(count(&changed))
	})
	if err == nil && changed == 0 {
		return dedup.ErrLost
	}
	return err
}
