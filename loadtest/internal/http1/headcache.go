package http1

// cachedHead is a head that a parser has read, and what it made of it. A server
// mostly sends the same one again, or does for the second that its Date lasts. The head
// that nginx sends with a file takes 290 ns to read and 24 to compare, which is 6 % of a
// request's CPU time; a head with a date and a length only 107 and 24.
type cachedHead struct {
	text  []byte // up to the body
	head  bool   // what was asked for, as in parser
	limit int64

	state  parseState
	status int
	minor  byte
	closes bool
	left   int64
}

// maxCachedHead is the longest head that is kept: there is one for each session.
const maxCachedHead = 512

// recall takes the head that p begins with, and returns its length, if it is the
// known one. It is for the start of a response.
func (r *parser) recall(p []byte) int {
	k := r.cached
	if k == nil || r.keep || r.asked != nil || k.head != r.head || k.limit != r.limit {
		return 0
	}
	size := len(k.text)
	if len(p) < size || string(p[:size]) != string(k.text) {
		return 0
	}
	r.searched = 0 // of the first line, if p has come before and was too short
	r.state, r.status, r.minor, r.closes, r.left = k.state, k.status, k.minor, k.closes, k.left
	return size
}

// remember keeps text, all of the head that has just been read.
func (r *parser) remember(text []byte) {
	if r.keep || len(text) > maxCachedHead {
		return
	}
	if r.cached == nil {
		r.cached = new(cachedHead)
	}
	*r.cached = cachedHead{
		text: append(r.cached.text[:0], text...), head: r.head, limit: r.limit,
		state: r.state, status: r.status, minor: r.minor, closes: r.closes, left: r.left,
	}
}
