package loadtest

// knownHead is a head that a parser has read, and what it made of it. A server
// mostly sends the same one again, or does for the second that its Date lasts, and
// to compare it takes a fraction of the time that reading it takes.
type knownHead struct {
	text  []byte // up to the body
	head  bool   // what was asked for, as in wireParser
	limit int64

	state  wireState
	status int
	minor  byte
	closes bool
	left   int64
}

// maxKnownHead is the longest head that is kept: there is one for each session.
const maxKnownHead = 512

// recall takes the head that p begins with, and returns its length, if it is the
// known one. It is for the start of a response.
func (w *wireParser) recall(p []byte) int {
	k := w.known
	if k == nil || w.keep || k.head != w.head || k.limit != w.limit {
		return 0
	}
	size := len(k.text)
	if len(p) < size || string(p[:size]) != string(k.text) {
		return 0
	}
	w.searched = 0 // of the first line, if p has come before and was too short
	w.state, w.status, w.minor, w.closes, w.left = k.state, k.status, k.minor, k.closes, k.left
	return size
}

// remember keeps text, all of the head that has just been read.
func (w *wireParser) remember(text []byte) {
	if w.keep || len(text) > maxKnownHead {
		return
	}
	if w.known == nil {
		w.known = new(knownHead)
	}
	*w.known = knownHead{
		text: append(w.known.text[:0], text...), head: w.head, limit: w.limit,
		state: w.state, status: w.status, minor: w.minor, closes: w.closes, left: w.left,
	}
}
