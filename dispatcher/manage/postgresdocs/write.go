package postgresdocs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// Put implements manage.Documents.
func (s *Store) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if len(r.Content) > manage.MaxContent {
		return 0, &manage.SizeError{Tenant: tenant, Size: len(r.Content), Max: manage.MaxContent}
	}
	return s.replace(ctx, change{op: "put", tenant: tenant, content: r.Content, expect: expect})
}

// Delete implements manage.Documents.
func (s *Store) Delete(ctx context.Context, tenant string, expect manage.Revision) (manage.Revision, error) {
	return s.replace(ctx, change{op: "delete", tenant: tenant, deleted: true, expect: expect})
}

// change is one call that changes a document.
type change struct {
	op      string
	tenant  string
	content []byte
	deleted bool
	expect  manage.Revision
}

// replace makes a change in one transaction. Nothing is changed before the commit was sent.
func (s *Store) replace(ctx context.Context, c change) (manage.Revision, error) {
	if err := s.validate(ctx, c.tenant); err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	unchanged := func(err error) error { return manage.Unchanged(storeError(ctx, c.op, c.tenant, err)) }
	tx, err := s.pool.BeginTx(bounded, pgx.TxOptions{BeginQuery: beginQuery})
	if err != nil {
		return 0, unchanged(err)
	}
	revision, err := s.write(bounded, tx, c)
	if err != nil {
		rollBack(ctx, tx)
		if _, conflict := errors.AsType[*manage.ConflictError](err); conflict {
			return 0, err
		}
		return 0, unchanged(err)
	}
	err = tx.Commit(bounded)
	if err == nil {
		return revision, nil
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if errors.Is(err, pgx.ErrTxCommitRollback) || ok && refused.SeverityUnlocalized == "ERROR" {
		return 0, unchanged(err)
	}
	return 0, storeError(ctx, c.op, c.tenant, err)
}

// beginQuery begins a transaction that the server ends when nothing more comes: others wait for it. The level is that
// of PostgreSQL's default, at which a statement sees what was committed while it waited.
const beginQuery = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'"

// rollTime bounds a rollback, which is not worth waiting for: the server does it when the connection ends.
const rollTime = 2 * time.Second

func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollTime)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// write changes the document's row, and then the counter: every transaction takes the two locks in this order, and
// keeps that of the counter, for which all writers wait, until the commit only.
func (s *Store) write(ctx context.Context, tx pgx.Tx, c change) (revision manage.Revision, err error) {
	content := c.content
	if content == nil {
		content = []byte{}
	}
	if c.expect == 0 && !c.deleted {
		err = tx.QueryRow(ctx, `INSERT INTO `+s.tables.documents+` AS d (tenant, revision, deleted, content, change) VALUES ($1, 1, false, $2, 0)
			ON CONFLICT (tenant) DO UPDATE SET revision = d.revision + 1, deleted = false, content = excluded.content WHERE d.deleted
			RETURNING revision`, exec, []byte(c.tenant), content).Scan(&revision)
	} else {
		err = tx.QueryRow(ctx, `UPDATE `+s.tables.documents+` SET revision = revision + 1, deleted = $2, content = $3
			WHERE tenant = $1 AND NOT deleted AND revision = $4 RETURNING revision`,
			exec, []byte(c.tenant), c.deleted, content, int64(c.expect)).Scan(&revision)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, s.conflict(ctx, tx, c)
	}
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `WITH counted AS (UPDATE `+s.tables.state+` SET latest = latest + 1 RETURNING latest)
		UPDATE `+s.tables.documents+` SET change = counted.latest FROM counted WHERE tenant = $1`, exec, []byte(c.tenant))
	return revision, err
}

// conflict says which revision is stored.
func (s *Store) conflict(ctx context.Context, tx pgx.Tx, c change) error {
	e := &manage.ConflictError{Tenant: c.tenant, Expected: c.expect}
	err := tx.QueryRow(ctx, "SELECT revision FROM "+s.tables.documents+" WHERE tenant = $1 AND NOT deleted", exec, []byte(c.tenant)).Scan(&e.Current)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return e
}
