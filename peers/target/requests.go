package target

import "bytes"

// requests reads the requests of one goroutine's connections.
type requests struct {
	owner *Server
	// hit is the head that was a hit last. A run's requests are all the same, and
	// comparing them is cheaper than reading them.
	hit []byte
}

// next answers the first request in data and gives what follows it; a nil reply
// says that data holds no whole one. After last there is nothing to follow.
func (r *requests) next(data []byte) (reply, rest []byte, last bool) {
	if len(r.hit) > 0 && bytes.HasPrefix(data, r.hit) {
		r.owner.hit()
		return hello, data[len(r.hit):], false
	}
	end := bytes.Index(data, endOfHead)
	if end < 0 {
		return nil, data, false
	}
	head := data[:end+len(endOfHead)]
	reply, last = r.owner.answer(head)
	if &reply[0] == &hello[0] {
		r.hit = append(r.hit[:0], head...)
	}
	return reply, data[len(head):], last
}
