package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/live"
	"example.com/brunt/loadtest/progress"
)

// A run is shown where BRUNT_LIVE says, and otherwise not; the lines in the test's log are
// there in any case.
func ExampleShow() {
	_ = func(t *testing.T) {
		engine := loadtest.Start(t, loadtest.AsyncConfig{OnProgress: live.Show(t, "", progress.Auto(t))})
		result, err := engine.Run(t.Context(), loadtest.For(time.Hour, loadtest.Get(os.Getenv("TARGET"))))
		if err != nil {
			t.Fatal(err)
		}
		t.Log(result)
	}
	fmt.Println("BRUNT_LIVE=127.0.0.1:8089 go test -run Soak -v -timeout 0")
	// Output: BRUNT_LIVE=127.0.0.1:8089 go test -run Soak -v -timeout 0
}

// Only this machine can be reached.
func ExampleListen() {
	_, err := live.Listen(":8089")
	fmt.Println(errors.Is(err, live.ErrAddress), err)
	ln, err := live.Listen("127.0.0.1:0")
	fmt.Println(ln.Addr().Network(), err)
	ln.Close()
	// Output:
	// true live: not a loopback address: ":8089": use 127.0.0.1:0, or another port than 0
	// tcp <nil>
}

// The page of shards, as brunt live serves it, within another server.
func ExampleWatch() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	mux := http.NewServeMux()
	mux.Handle("/live/", http.StripPrefix("/live", live.Watch(dir)))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://localhost/live/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
