// Package docs holds what the Go snippets of README.md and docs/*.md may use
// without saying so: shop here, and in a snippet of statements also t (or b, where
// it says b), ctx and url. Beside it each page's snippets are compiled and run;
// see docs_test.go in the module's root.
package docs

import (
	"context"
	"net/http"
	"testing"

	"example.com/brunt/fixtures"
)

// shop is the reader's own service.
var shop = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"items":[{"id":7,"name":"tea"}]}`))
})

// setup begins each snippet of statements: url is shop's, and the snippet must
// leave nothing behind.
func setup(tb testing.TB) (ctx context.Context, url string) {
	tb.Helper()
	fixtures.NoLeaks(tb)
	return tb.Context(), fixtures.NewServer(tb, fixtures.WithHandler("/shop", shop)).URL + "/shop"
}

// must fails the snippet for an error that its next statement does not look at.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
