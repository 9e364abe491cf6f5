package outbox

import (
	"context"
	"database/sql"
)

// Tx runs a statement in the host's transaction: made by [SQL] or [PGX].
type Tx func(ctx context.Context, query string, args ...any) error

// SQL makes a Tx of a *sql.Tx, or of a *sql.Conn on which the host began its transaction by a statement.
func SQL(tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}) Tx {
	return func(ctx context.Context, query string, args ...any) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}
}

// PGX makes a Tx of a pgx.Tx, whatever its version. R is inferred.
func PGX[R any](tx interface {
	Exec(ctx context.Context, query string, args ...any) (R, error)
}) Tx {
	return func(ctx context.Context, query string, args ...any) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}
}
