package replay_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/replay"
)

const accessLog = `10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 512 "-" "Mozilla/5.0"
10.0.0.2 - - [26/Nov/2026:20:00:00 +0000] "GET /cart?id=7 HTTP/1.1" 200 98 "https://shop.test/" "Mozilla/5.0"
10.0.0.9 - - [26/Nov/2026:20:00:01 +0000] "\x16\x03\x01" 400 157 "-" "-"
10.0.0.1 - - [26/Nov/2026:20:00:01 +0000] "POST /buy HTTP/2.0" 303 0 "https://shop.test/cart" "Mozilla/5.0"
`

// echo answers with what it was asked, and prints it.
type echo struct{}

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Println(r.Method, r.URL, r.UserAgent())
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func Example() {
	log, err := replay.New(strings.NewReader(accessLog), replay.Config{Base: "http://127.0.0.1:8080", MaxBad: -1})
	if err != nil {
		panic(err)
	}
	engine, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Schedule: log.Schedule().Scale(100), // a hundred times as fast
		Conn:     loadtest.ConnectionConfig{Transport: echo{}},
	})
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), log.Source())
	fmt.Println(result.SuccessCount, err)
	// Output:
	// GET http://127.0.0.1:8080/ Mozilla/5.0
	// GET http://127.0.0.1:8080/cart?id=7 Mozilla/5.0
	// POST http://127.0.0.1:8080/buy Mozilla/5.0
	// 3 <nil>
}

func ExampleLog_Stats() {
	log, err := replay.New(strings.NewReader(accessLog), replay.Config{
		Base:   "http://127.0.0.1:8080",
		MaxBad: 10,
		Keep:   func(e *replay.Entry) bool { return e.Method == "GET" },
	})
	if err != nil {
		panic(err)
	}
	s := log.Stats()
	fmt.Println(s.Requests, "requests,", s.LeftOut, "left out,", s.Bad, "bad")
	fmt.Println(s.Faults[0])
	// Output:
	// 2 requests, 1 left out, 1 bad
	// loadtest: line 3: no request: method "\x16\x03\x01" is not a token
}

func ExampleLog_Schedule() {
	log, err := replay.New(strings.NewReader(accessLog), replay.Config{Base: "http://127.0.0.1:8080", MaxBad: -1})
	if err != nil {
		panic(err)
	}
	for at := range log.Schedule().All() { // the log has whole seconds, over which lines are spread
		fmt.Println(at)
	}
	// Output:
	// 0s
	// 500ms
	// 1s
}

func ExampleOpen() {
	_, err := replay.Open("testdata/access.log", replay.Config{Base: "http://127.0.0.1:8080"})
	fmt.Println(err)
	log, err := replay.Open("testdata/access.log", replay.Config{Base: "http://127.0.0.1:8080", MaxBad: -1})
	if err != nil {
		panic(err)
	}
	defer log.Close()
	fmt.Println(log.Stats().Requests, "requests in", log.Stats().Duration)
	// Output:
	// replay: 2 bad lines: set Config.MaxBad to leave them out; the first are
	// loadtest: line 2: no request: the client sent none that the server could read
	// loadtest: line 4: no request: method "\x16\x03\x01\x05\xa8\x01" is not a token
	// 5 requests in 2.5s
}

func ExampleConfig_edit() {
	log, err := replay.New(strings.NewReader(accessLog), replay.Config{
		Base: "http://127.0.0.1:8080", MaxBad: -1,
		Edit: func(e *replay.Entry, r *loadtest.Request) {
			r.Name, _, _ = strings.Cut(e.Target, "?")
			r.Header.Set("Authorization", "Bearer test")
		},
	})
	if err != nil {
		panic(err)
	}
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{Conn: loadtest.ConnectionConfig{Transport: echo{}}})
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Take(2, log.Source()))
	fmt.Println(result.Endpoints["/cart"].SuccessCount, err)
	// Output:
	// GET http://127.0.0.1:8080/ Mozilla/5.0
	// GET http://127.0.0.1:8080/cart?id=7 Mozilla/5.0
	// 1 <nil>
}

func ExampleStream() {
	var pipe io.Reader = strings.NewReader(`{"ts":1795723200.25,"request":{"method":"GET","host":"shop.test","uri":"/a"},"status":200}`)
	for r, err := range replay.Stream(pipe, replay.Config{Base: "http://127.0.0.1:8080", Host: true}) {
		fmt.Println(r.Method, r.URL, r.Header, err)
	}
	// Output: GET http://127.0.0.1:8080/a map[Host:[shop.test]] <nil>
}

func ExampleReadRequests() {
	const file = `POST http://localhost:8080/things
Content-Type: application/json
@thing.json

GET http://localhost:8080/things/1
{"method": "PUT", "url": "http://localhost:8080/things/1", "body": "e30="}
`
	bodies := func(string) ([]byte, error) { return []byte(`{"a":1}`), nil }
	reqs, err := replay.ReadRequests(strings.NewReader(file), bodies)
	for _, r := range reqs {
		fmt.Printf("%s %s %q\n", r.Method, r.URL, r.Body)
	}
	fmt.Println(err)
	// Output:
	// POST http://localhost:8080/things "{\"a\":1}"
	// GET http://localhost:8080/things/1 ""
	// PUT http://localhost:8080/things/1 "{}"
	// <nil>
}

func ExampleStreamRequests() {
	for r, err := range replay.StreamRequests(strings.NewReader("GET http://localhost/a\n\nGET\n\nGET http://localhost/b\n"), nil) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(r.URL)
	}
	// Output:
	// http://localhost/a
	// loadtest: line 3: want a method and a URL, such as GET http://localhost:8080/
	// http://localhost/b
}

func ExampleCurl() {
	r, err := replay.Curl(`curl 'https://shop.test/cart' -H 'content-type: application/json' \
		--data-raw $'{"name":"it\'s"}' --compressed`)
	fmt.Println(r.Method, r.URL, r.Header.Get("Content-Type"), string(r.Body), err)
	_, err = replay.Curl("curl -k https://shop.test/")
	fmt.Println(err)
	// Output:
	// POST https://shop.test/cart application/json {"name":"it's"} <nil>
	// replay: curl command: option -k: set InsecureSkipVerify in ConnectionConfig.TLS
}

func ExampleConfig_Validate() {
	fmt.Println(replay.Config{Base: "localhost", Reorder: -5}.Validate())
	// Output:
	// replay: bad config: Base: loadtest: invalid request: URL "localhost": scheme must be http or https
	// replay: bad config: Reorder is -5: must be -1 for none, 0 for 1000, or positive
}
