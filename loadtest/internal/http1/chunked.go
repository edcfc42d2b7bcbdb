package http1

// Limits of net/http: a line of the chunked encoding and a trailer must fit into
// a buffer of 4 KiB.
const (
	maxChunkLine    = 4 << 10
	maxTrailerBytes = 4 << 10
	maxChunkExcess  = 16 << 10
)

// chunkSize takes a line such as "1f4" or "1f4;extension=ignored".
func (r *parser) chunkSize(line []byte, crlf bool) error {
	for _, c := range line {
		crlf = crlf && c != '\r'
	}
	if !crlf {
		return refuse("malformed chunk size", line)
	}
	overhead := int64(len(line)) + 2
	line = trimEnd(line)
	var n uint64
	digits := 0
	for ; digits < len(line) && line[digits] != ';'; digits++ {
		d, ok := hexDigit(line[digits])
		if !ok || digits == 16 {
			return refuse("malformed chunk size", line)
		}
		n = n<<4 | uint64(d)
	}
	if digits == 0 {
		return refuse("malformed chunk size", line)
	}
	if n > uint64(r.limit-r.bytes) {
		return &BodyLimitError{r.limit}
	}
	// net/http's rule against chunks that are mostly extension: 16 bytes for each,
	// and twice as much as there is data, are free.
	r.excess = max(r.excess+overhead-16-2*int64(n), 0)
	if r.excess > maxChunkExcess {
		return refuse("chunked encoding contains too much non-data", nil)
	}
	r.left, r.state = int64(n), stateChunk
	if n == 0 {
		r.state = stateTrailer
	}
	return nil
}

// chunkEnd takes the CRLF behind a chunk.
func (r *parser) chunkEnd(p []byte) (int, error) {
	const end = "\r\n"
	if have := min(len(p), len(end)); string(p[:have]) != end[:have] {
		return 0, refuse("chunk does not end in CRLF", p)
	}
	if len(p) < len(end) {
		return 0, nil
	}
	r.state = stateChunkSize
	return len(end), nil
}

// trailerLine takes a header line behind the last chunk, which is dropped, or
// the blank line that ends the response.
func (r *parser) trailerLine(line []byte, crlf bool) error {
	if !crlf {
		return refuse("line of a trailer does not end in CRLF", line)
	}
	if len(line) == 0 {
		r.state = stateDone
		return nil
	}
	_, _, err := cutHeader(line)
	return err
}
