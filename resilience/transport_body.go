package resilience

import (
	"io"
	"net/http"
	"sync/atomic"
)

// transportHold ties a limiter's permit to the body of a response that will be
// returned. It reports false, and does nothing, if there is none to tie it to.
func transportHold(resp *http.Response, returned bool, limiter *SemaphoreLimiter) bool {
	if !returned || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return false
	}
	body := &transportBody{ReadCloser: resp.Body, limiter: limiter}
	if w, ok := resp.Body.(io.Writer); ok { // 101 Switching Protocols
		resp.Body = struct {
			*transportBody
			io.Writer
		}{body, w}
	} else {
		resp.Body = body
	}
	return true
}

// transportBody gives a permit back when the body is closed or has ended,
// whichever comes first.
type transportBody struct {
	io.ReadCloser
	limiter  *SemaphoreLimiter
	released atomic.Bool
}

func (b *transportBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *transportBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

func (b *transportBody) release() {
	if b.released.CompareAndSwap(false, true) {
		b.limiter.Release()
	}
}
