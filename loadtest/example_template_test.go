package loadtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"example.com/brunt/loadtest"
)

func ExampleNewTemplate() {
	_, err := loadtest.NewTemplate(loadtest.Get("https://${host}/users/${id"))
	fmt.Println(err)
	// Output:
	// loadtest: bad template: URL: ${ without a }; write $${ for the characters ${
	// loadtest: bad template: URL: ${host} is before the path: scheme, user and host are those of all requests
}

func ExampleTemplate_Request() {
	order, err := loadtest.NewTemplate(loadtest.Post(
		"http://localhost/users/${user}/orders?note=${note}", "application/json", []byte(`{"note":"${note}","id":${id}}`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	values := map[string]string{"user": "a/b", "note": `5" & more`, "id": "7"}
	req, err := order.Request(func(name string) (string, error) { return values[name], nil })
	fmt.Println(req.URL)
	fmt.Println(string(req.Body), err)
	// Output:
	// http://localhost/users/a%2Fb/orders?note=5%22%20%26%20more
	// {"note":"5\" & more","id":7} <nil>
}

func ExampleTemplate_Names() {
	tmpl, err := loadtest.NewTemplate(loadtest.Get("http://localhost/${user}/${order}?again=${user}"))
	fmt.Println(tmpl.Names(), err)
	// Output: [user order] <nil>
}

// Request number i is for item i.
func ExampleTemplate_Source() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.URL) }))
	defer server.Close()
	item, err := loadtest.NewTemplate(loadtest.Get(server.URL + "/items/${item}"))
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Wire(loadtest.ConnectionConfig{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())

	src := item.Source(func(i int64, name string) (string, error) { return fmt.Sprint(name, i), nil })
	result, err := engine.Run(context.Background(), loadtest.Take(3, src))
	fmt.Println(result.SuccessCount, err)
	// Output:
	// /items/item0
	// /items/item1
	// /items/item2
	// 3 <nil>
}
