package live

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/brunt/loadtest/htmlreport"
)

const (
	// refresh is how often a page is renewed.
	refresh = time.Second
	// patience is how long a browser may take to accept an event.
	patience = 2 * time.Second
)

// handler serves a page and its events. No goroutine is its own.
type handler struct {
	view   func() htmlreport.Live // safe for concurrent use
	ended  chan struct{}          // closed when no event but the last follows
	active sync.RWMutex           // held for reading by those who send events

	mu       sync.Mutex // guards the fields below
	event    []byte     // the latest, which all browsers share
	rendered time.Time
}

func newHandler(view func() htmlreport.Live) *handler {
	return &handler{view: view, ended: make(chan struct{})}
}

// end sends every browser what there is last, and returns when they have it, or have lost
// patience.
func (h *handler) end() {
	close(h.ended)
	h.active.Lock() // nobody is left; those who come now get the last event, and return
	defer h.active.Unlock()
}

// ServeHTTP serves those who call this machine by a name of its own: another name may be
// that of a page elsewhere, which has it resolved to a loopback address.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !loopback(r.Host) {
		http.Error(w, fmt.Sprintf("live: served to this machine only, not as %q: ask for localhost or 127.0.0.1", r.Host), http.StatusForbidden)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "live: only GET and HEAD", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		page, err := h.view().Page()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = send(w, page) // it may have left
	case r.URL.Path == "/events":
		h.events(w, r)
	default:
		http.NotFound(w, r)
	}
}

// events sends an event whenever there is something new, until the browser leaves or all
// has ended. What a browser is too slow for it never gets.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	h.active.RLock()
	defer h.active.RUnlock()
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	var sent []byte
	for ended := false; ; {
		event, err := h.latest(ended)
		if err != nil {
			return
		}
		if !bytes.Equal(event, sent) {
			if send(w, fmt.Appendf(nil, "retry: 1000\ndata: %s\n\n", event)) != nil {
				return
			}
			sent = event
		}
		if ended {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-h.ended:
			ended = true
		case <-tick.C:
		}
	}
}

// send sends text. Without a deadline a browser that hangs would be there until its connection
// breaks.
func send(w http.ResponseWriter, text []byte) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(patience)) // what is no connection has none
	if _, err := w.Write(text); err != nil {
		return err
	}
	return control.Flush()
}

// latest returns an event that all browsers share for a moment, or one made now.
func (h *handler) latest(now bool) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.event == nil || now || time.Since(h.rendered) >= refresh/2 {
		event, err := h.view().Event()
		if err != nil {
			return nil, err
		}
		h.event, h.rendered = event, time.Now()
	}
	return h.event, nil
}

// loopback reports whether host, with a port or without, is this machine's loopback
// interface.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
