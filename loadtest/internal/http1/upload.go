package http1

import "time"

// upload writes a request while its response is read already: a server may
// answer before it has read a long body, and then read no more of it.
type upload struct {
	done     chan struct{} // closed when the rest stands
	wrote    int
	complete bool // all was written
	panicked any  // what the Write of a user's connection panicked with
}

func startUpload(c *conn, r *Request) *upload {
	u := &upload{done: make(chan struct{})}
	go func() { // ends when all is written, or the connection fails or is closed
		defer close(u.done)
		returned := false
		defer func() {
			if u.panicked = recover(); !returned {
				c.tcp.Close() // nobody is going to answer
			}
		}()
		// An empty Write would wait for the peer of a net.Pipe to read.
		u.complete = u.write(c, r.bytes) && (r.body == nil || u.write(c, r.body))
		returned = true
	}()
	return u
}

// write writes part, and reports whether it could.
func (u *upload) write(c *conn, part []byte) bool {
	n, err := c.Write(part)
	u.wrote += n
	return err == nil
}

// uploadGrace is how long a complete response waits for its request to be
// reported as written before the connection is given up; net/http's figure.
const uploadGrace = 50 * time.Millisecond

// finish waits a little, and reports whether all was written.
func (u *upload) finish() bool {
	select {
	case <-u.done:
		return u.complete
	default:
	}
	grace := time.NewTimer(uploadGrace)
	defer grace.Stop()
	select {
	case <-u.done:
		return u.complete
	case <-grace.C:
		return false
	}
}
