// Package sqlitesink writes the records of a load test to an SQLite database.
//
// It is a package of its own because of its driver, which is SQLite translated to
// Go (no cgo): a program that imports loadtest alone has nothing of it.
package sqlitesink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	// The driver registers itself as "sqlite3".
	_ "github.com/ncruces/go-sqlite3/driver"

	"example.com/brunt/loadtest"
)

// schema has the keys of a record's JSON as its columns.
const schema = `CREATE TABLE requests (
	url TEXT NOT NULL,
	status_code INTEGER NOT NULL,
	latency_ms REAL NOT NULL,
	timestamp REAL NOT NULL,
	attempt INTEGER NOT NULL,
	error TEXT,
	error_class TEXT,
	name TEXT,
	method TEXT,
	bytes INTEGER NOT NULL,
	expected INTEGER NOT NULL,
	lag_ms REAL NOT NULL,
	scenario TEXT,
	user INTEGER NOT NULL,
	trace_id TEXT,
	span_id TEXT,
	request_id TEXT,
	excluded INTEGER NOT NULL
)`

const insert = `INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// Create returns a sink that writes to an SQLite database at path, into a table
// "requests" with a column for each key of [loadtest.RequestResult.MarshalJSON]:
// url, status_code (0 without a response), latency_ms, timestamp (Unix seconds),
// attempt, error, error_class, name, method (each NULL without one), bytes, expected (1
// where Request.Expect names the status, else 0), lag_ms (0 in a closed loop), scenario
// (NULL without one), user (its number), trace_id, span_id and request_id (NULL
// without Tracing), and excluded (1 of a request that is not counted, else 0). A file that exists is replaced; the directory must exist.
//
// A batch is a transaction: after a kill the database holds whole batches, those
// that SinkStats.Written counts. While the sink is open others can read the
// database, and files with the endings -wal and -shm lie beside it; a Close
// without an error makes it durable and leaves one file.
func Create(path string, cfg loadtest.SinkConfig) (*loadtest.Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("sqlitesink: creating %s: %w", path, err)
	}
	return loadtest.NewSink(w, cfg)
}

type writer struct {
	db     *sql.DB
	conn   *sql.Conn // the only one: settings and statements belong to it
	insert *sql.Stmt
}

func open(path string) (*writer, error) {
	for _, old := range []string{path, path + "-wal", path + "-shm", path + "-journal"} {
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Escaped, so that no character of the path is taken for a parameter.
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(full)}
	db, err := sql.Open("sqlite3", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	w := &writer{db: db}
	if err := w.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

// prepare uses a context that does not end, as its connection must not.
func (w *writer) prepare() (err error) {
	ctx := context.Background()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	// NORMAL syncs at checkpoints: what is committed survives this process, and a
	// power cut after Close.
	for _, statement := range []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", schema} {
		if _, err := w.conn.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, w.conn.Close())
		}
	}
	if w.insert, err = w.conn.PrepareContext(ctx, insert); err != nil {
		return errors.Join(err, w.conn.Close())
	}
	return nil
}

// WriteBatch writes the batch in one transaction, or nothing of it.
func (w *writer) WriteBatch(ctx context.Context, batch []loadtest.RequestResult) error {
	err := w.write(ctx, batch)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w: %w", cause, err) // the driver says only "interrupted"
	}
	return err
}

func (w *writer) write(ctx context.Context, batch []loadtest.RequestResult) error {
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	stmt := tx.StmtContext(ctx, w.insert)
	defer stmt.Close()
	for i := range batch {
		if err := add(ctx, stmt, &batch[i]); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func add(ctx context.Context, stmt *sql.Stmt, r *loadtest.RequestResult) error {
	var failed, class sql.NullString
	if r.Err != nil {
		failed = sql.NullString{String: r.Err.Error(), Valid: true}
	}
	if r.Class != loadtest.ClassNone {
		text, err := r.Class.MarshalText()
		if err != nil {
			return err
		}
		class = sql.NullString{String: string(text), Valid: true}
	}
	var began float64
	if !r.Timestamp.IsZero() {
		began = float64(r.Timestamp.UnixMicro()) / 1e6
	}
	_, err := stmt.ExecContext(ctx, r.URL, r.StatusCode, float64(r.Latency)/1e6, began, r.Attempt,
		failed, class, orNull(r.Name), orNull(r.Method), r.Bytes, r.Expected, float64(r.Lag)/1e6,
		orNull(r.Scenario), r.User, orNull(r.TraceID), orNull(r.SpanID), orNull(r.RequestID), r.Excluded)
	return err
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// Close moves everything into the one file and syncs it.
func (w *writer) Close() error {
	_, err := w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, w.insert.Close(), w.conn.Close(), w.db.Close())
}
