package data_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/data"
)

const users = `name,password
ann,"correct, horse"
bob,battery
`

func ExampleReadCSV() {
	rows, err := data.ReadCSV(strings.NewReader(users))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range int64(3) {
		row, err := rows.Row(i)
		if errors.Is(err, data.ErrNoMoreRows) {
			fmt.Println("all used")
			break
		}
		name, _ := row.Get("name")
		fmt.Println(i, name)
	}
	// Output:
	// 0 ann
	// 1 bob
	// all used
}

func ExampleRows_Cycle() {
	rows, _ := data.ReadCSV(strings.NewReader(users))
	for i := range int64(3) {
		row, _ := rows.Cycle().Row(i)
		name, _ := row.Get("name")
		fmt.Println(i, name)
	}
	// Output:
	// 0 ann
	// 1 bob
	// 2 ann
}

func ExampleRow_Get() {
	rows, _ := data.ReadCSV(strings.NewReader(users))
	row, _ := rows.Row(0)
	fmt.Println(row.Get("password"))
	_, err := row.Get("passwd")
	fmt.Println(err)
	// Output:
	// correct, horse <nil>
	// data: no column "passwd": there are ["name" "password"]
}

// Each user logs in once.
func ExampleRows_Source() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.URL.Path, string(body))
	}))
	defer server.Close()
	login, err := loadtest.NewTemplate(loadtest.Post(server.URL+"/login/${name}", "application/json", []byte(`{"password":"${password}"}`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())

	rows, _ := data.ReadCSV(strings.NewReader(users))
	result, err := engine.Run(context.Background(), rows.Source(login))
	fmt.Println(result.SuccessCount, err)
	// Output:
	// /login/ann {"password":"correct, horse"}
	// /login/bob {"password":"battery"}
	// 2 <nil>
}

func ExampleReadRecords() {
	records := csv.NewReader(strings.NewReader("id;city\n7;Bonn\n"))
	records.Comma = ';'
	rows, err := data.ReadRecords(records)
	fmt.Println(rows.Columns(), rows.Len(), err)
	// Output: [id city] 1 <nil>
}

func ExampleReadJSONLines() {
	rows, err := data.ReadJSONLines(strings.NewReader(`{"id": 7, "city": "Bonn"}
{"city": "Kiel"}
`))
	fmt.Println(rows, err)
	// Output: <nil> loadtest: line 2: no "id", which the first line has
}

func ExampleReadFile() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "users.csv")
	if err := os.WriteFile(name, []byte(users), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	rows, err := data.ReadFile(name)
	fmt.Println(rows.Columns(), rows.Len(), err)
	// Output: [name password] 2 <nil>
}
