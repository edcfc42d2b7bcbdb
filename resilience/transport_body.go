package resilience

import (
	"io"
	"net/http"
	"sync/atomic"
)

// transportHeld is what an attempt holds until the body of its response is done
// with: a permit of limiter, if any, and the context of clock.
type transportHeld struct {
	limiter *SemaphoreLimiter
	clock   attemptClock
}

func (h transportHeld) release() {
	h.clock.close()
	if h.limiter != nil {
		h.limiter.Release()
	}
}

// until ties what is held to the body of a response that will be returned. It
// reports false, and does nothing, if there is none to tie it to.
func (h transportHeld) until(resp *http.Response) bool {
	if resp == nil || resp.Body == http.NoBody {
		return false
	}
	if h.limiter == nil && h.clock.timer == nil {
		return true // nothing is held
	}
	body := &transportBody{ReadCloser: resp.Body, held: h}
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

// transportBody releases what is held when the body is closed or has ended,
// whichever comes first.
type transportBody struct {
	io.ReadCloser
	held     transportHeld
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
		b.held.release()
	}
}
