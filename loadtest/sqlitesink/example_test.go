package sqlitesink_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/sqlitesink"
)

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "results.db")

	sink, err := sqlitesink.Create(path, loadtest.SinkConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	defer engine.Close(context.Background())
	_, err = loadtest.Record(context.Background(), engine, loadtest.Times(500, &loadtest.Request{Name: "home"}), sink)
	fmt.Println(err, sink.Close(context.Background()))

	db, _ := sql.Open("sqlite3", "file:"+path)
	defer db.Close()
	var name string
	var n int
	err = db.QueryRowContext(context.Background(), "SELECT name, count(*) FROM requests WHERE latency_ms < 1000 GROUP BY name").Scan(&name, &n)
	fmt.Println(name, n, err)
	// Output:
	// <nil> <nil>
	// home 500 <nil>
}
