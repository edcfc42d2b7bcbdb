package loadtest

import "time"

// upload writes a request while its response is read already: a server may
// answer before it has read a long body, and then read no more of it.
type upload struct {
	done  chan struct{} // closed when wrote and err stand
	wrote int
	err   error
}

func startUpload(c *wireConn, r *wireRequest) *upload {
	u := &upload{done: make(chan struct{})}
	go func() { // ends when all is written, or the connection fails or is closed
		defer close(u.done)
		for _, part := range [][]byte{r.bytes, r.body} {
			n, err := c.Write(part)
			u.wrote += n
			if u.err = err; err != nil {
				return
			}
		}
	}()
	return u
}

// uploadGrace is how long a complete response waits for its request to be
// reported as written before the connection is given up; net/http's figure.
const uploadGrace = 50 * time.Millisecond

// finish says whether all was written.
func (u *upload) finish() bool {
	select {
	case <-u.done:
		return u.err == nil
	default:
	}
	grace := time.NewTimer(uploadGrace)
	defer grace.Stop()
	select {
	case <-u.done:
		return u.err == nil
	case <-grace.C:
		return false
	}
}
