package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page is where standard output says, shows what is in the directory, and is there until
// the command is interrupted.
func TestLiveServesADirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nightly.TestShop.0-of-2.progress.jsonl"), []byte(
		`{"brunt_progress":1,"run":"nightly","name":"TestShop","shard":0,"shards":2,"began":"2026-11-26T12:00:00Z","engine":"async","elapsed_ns":1000000000,"requests":70,"interval":{"from_seconds":0,"to_seconds":1,"requests":70}}`+"\n"), 0o644))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, stdout := io.Pipe()
	code := make(chan int)
	var stderr strings.Builder
	go func() { code <- run(ctx, []string{"live", dir}, stdout, &stderr) }() // ends with ctx
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSpace(url), nil)
	require.NoError(t, err)
	r, err := client.Do(request)
	require.NoError(t, err)
	page, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Contains(t, string(page), "<h1>nightly TestShop</h1>")
	require.Contains(t, string(page), "1 of 2 shards are missing: 1")
	require.Contains(t, string(page), `data-tile="requests">70<`)
	interrupt()
	require.Zero(t, <-code)
	require.Empty(t, stderr.String())
}

func TestLiveRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "0 directories: must be one"},
		{[]string{"a", "-addr", "127.0.0.1:0"}, "3 directories: must be one"},
		{[]string{"-addr", ":8089", "a"}, "not a loopback address"},
		{[]string{"-addr", "127.0.0.1:99999", "a"}, "invalid port"},
		{[]string{"-port", "1", "a"}, "flag provided but not defined: -port"},
	} {
		var stdout, stderr strings.Builder
		require.Equal(t, 2, run(t.Context(), append([]string{"live"}, tt.args...), &stdout, &stderr), tt.args)
		require.Contains(t, stderr.String(), tt.want)
		require.Empty(t, stdout.String())
	}
	var stdout, stderr strings.Builder
	require.Zero(t, run(t.Context(), []string{"live", "-h"}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "usage: brunt live [flags] DIR")
}
