package check_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/check"
)

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name":"ann","id":%s}`, r.URL.Query().Get("id"))
	}))
	defer server.Close()
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())

	right, wrong := loadtest.Get(server.URL+"?id=7"), loadtest.Get(server.URL+"?id=8")
	right.Check = check.All(
		check.Header("Content-Type", "application/json"),
		check.JSON("$.name", "ann"),
		check.JSON("$.id", 7),
	)
	wrong.Check = right.Check
	result, err := engine.Run(context.Background(), loadtest.Times(10, right, wrong))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.SuccessCount, "right,", result.Errors[loadtest.ClassCheck], "wrong")
	fmt.Println(result.ErrorExamples[loadtest.ClassCheck])
	// Output:
	// 5 right, 5 wrong
	// check: want JSON $.id = 7; got $.id = 8
}

func ExampleError() {
	err := check.JSON("$.stock", 3)(response(200, "application/json", `{"stock":0}`))
	var failed *check.Error
	if errors.As(err, &failed) {
		fmt.Println("want", failed.Want)
		fmt.Println("got ", failed.Got())
	}
	fmt.Println(errors.Is(err, check.ErrFailed))
	// Output:
	// want JSON $.stock = 3
	// got  $.stock = 0
	// true
}

// 4xx and 5xx come to a check only where Expect lets them through.
func ExampleStatus() {
	req := loadtest.Get("http://localhost/users/7")
	req.Expect = []int{200, 404}
	req.Check = check.Any(check.Status(404), check.JSON("$.name"))

	fmt.Println(req.Check(response(404, "text/plain", "no such user")))
	fmt.Println(req.Check(response(200, "application/json", `{"id":7}`)))
	// Output:
	// <nil>
	// check: want status 404, or JSON $.name; got 200 application/json of 8 bytes: {"id":7}
}

func ExampleHeader() {
	fmt.Println(check.Header("Content-Type", "text/html")(response(200, "text/plain", "hi")))
	// Output: check: want header Content-Type = "text/html"; got Content-Type: ["text/plain"]
}

func ExampleHeaderMatches() {
	fmt.Println(check.HeaderMatches("Content-Type", "^text/")(response(200, "text/plain", "hi")))
	fmt.Println(check.HeaderMatches("ETag", "")(response(200, "text/plain", "hi")))
	// Output:
	// <nil>
	// check: want header Etag matching ""; got no such header, 200 text/plain of 2 bytes: hi
}

func ExampleContains() {
	fmt.Println(check.Contains("Welcome")(response(200, "text/html", "<h1>Please log in</h1>")))
	// Output: check: want body containing "Welcome"; got 200 text/html of 22 bytes: <h1>Please log in</h1>
}

func ExampleMatches() {
	fmt.Println(check.Matches(`(?i)welcome, \w+`)(response(200, "text/html", "<h1>Welcome, Ann</h1>")))
	// Output: <nil>
}

func ExampleJSON() {
	cart := response(200, "application/json", `{"items":[{"name":"tea","price":3},{"name":"cup","price":12}],"coupon":null}`)
	for _, c := range []check.Func{
		check.JSON("$.items[1]"),                      // there are two items, at least
		check.JSON("$.coupon", nil),                   // it is null
		check.JSON("$.items[*].name", "tea", "cup"),   // each is one of the two
		check.JSON("$.items[?@.price > 10].name"),     // one of them is dear
		check.JSON("$.items[?@.price > 10].name", ""), // and has this name
	} {
		fmt.Println(c(cart))
	}
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// check: want JSON $.items[?@.price > 10].name = ""; got $.items[?@.price > 10].name = "cup"
}

func ExampleSize() {
	fmt.Println(check.Size(1, 1<<20)(response(200, "", "")))
	// Output: check: want body of 1 to 1048576 bytes; got 200 without a body
}

func ExampleAll() {
	c := check.All(check.Status(200), check.Contains("ok"), func(r loadtest.Response) error {
		if r.Proto == "" {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	fmt.Println(c(response(200, "", "all ok")))
	// Output: unexpected EOF
}

func ExampleAny() {
	c := check.Any(check.Status(204), check.Contains("gone"))
	fmt.Println(c(response(204, "", "")))
	// Output: <nil>
}

func ExampleNot() {
	fmt.Println(check.Not(check.Contains("Exception"))(response(200, "text/html", "NullPointerException")))
	// Output: check: want the check in Not (example_test.go:139) to fail; got 200 text/html of 20 bytes: NullPointerException
}

// response is what a check would be given.
func response(status int, contentType, body string) loadtest.Response {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return loadtest.Response{StatusCode: status, Header: header, Body: []byte(body), Bytes: int64(len(body))}
}
