package http1

import "net/http"

// Parser reads one response after another.
type Parser struct{ parser }

// Reset prepares for the next response.
func (p *Parser) Reset(head, keep bool, limit int64) { p.reset(head, keep, limit) }

// Expected returns how many bytes are known to be still to come, at least.
func (p *Parser) Expected() int64 { return p.expected() }

// InBody reports whether the head is complete.
func (p *Parser) InBody() bool { return p.inBody() }

// Done reports whether the response is complete.
func (p *Parser) Done() bool { return p.state == stateDone }

// Closes reports whether the connection ends with the response.
func (p *Parser) Closes() bool { return p.closes }

// Feed takes what it can of b and returns how much that was.
func (p *Parser) Feed(b []byte) (int, error) { return p.feed(b) }

// End takes the end of the connection.
func (p *Parser) End() error { return p.end() }

// Free drops the memory of bodies.
func (p *Parser) Free() { p.reset(false, false, 0); p.body = nil }

// Response returns what was read.
func (p *Parser) Response() (status, minor int, header http.Header, body []byte, bytes int64) {
	return p.status, int(p.minor), p.header, p.body, p.bytes
}

// HasToken reports whether lower is in the comma-separated list b.
func HasToken(b []byte, lower string) bool { return hasToken(b, lower) }
