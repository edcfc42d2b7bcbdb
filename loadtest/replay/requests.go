package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"strings"

	"example.com/brunt/loadtest"
)

// maxKeptBodies bounds how many body files are kept for requests that name the same one.
const maxKeptBodies = 256

// ReadRequests returns the requests of a file in one of the two formats that vegeta reads.
//
// As text, a request is a line with the method and the URL, followed by lines with a header
// each and one with the name of a file that holds the body; a blank line or the next
// request ends it, and lines that begin with # are passed over:
//
//	POST http://localhost:8080/things
//	Content-Type: application/json
//	@thing.json
//
//	GET http://localhost:8080/things/1
//
// As JSON, it is a line with an object, whose body is in base64:
//
//	{"method": "POST", "url": "http://localhost:8080/things", "header": {"Accept": ["*/*"]}, "body": "e30="}
//
// readFile reads a body; nil means [os.ReadFile]. ReadRequests returns no requests when any
// is bad, and then an error that holds a [loadtest.LineError] for each of the first ten. A
// file without a request is an error, too.
func ReadRequests(r io.Reader, readFile func(name string) ([]byte, error)) ([]*loadtest.Request, error) {
	var reqs []*loadtest.Request
	var faults []error
	for req, err := range StreamRequests(r, readFile) {
		if err != nil {
			if faults = append(faults, err); len(faults) == maxFaults {
				break
			}
			continue
		}
		reqs = append(reqs, req)
	}
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case len(reqs) == 0:
		return nil, fmt.Errorf("%w: the file holds no request", loadtest.ErrEmptySource)
	}
	return reqs, nil
}

// StreamRequests yields the requests of a file one by one, as [ReadRequests] reads them: with
// [loadtest.Recorded], for a file that is larger than memory. It yields a
// [loadtest.LineError] for each bad request, and goes on if asked to.
func StreamRequests(r io.Reader, readFile func(name string) ([]byte, error)) iter.Seq2[*loadtest.Request, error] {
	if readFile == nil {
		readFile = os.ReadFile
	}
	return func(yield func(*loadtest.Request, error) bool) {
		ls, err := newLines(r, maxRequestLine)
		f := &requestFile{lines: ls, readFile: readFile, bodies: make(map[string][]byte)}
		for err == nil {
			var req *loadtest.Request
			var bad *loadtest.LineError
			req, err = f.next()
			if err == nil || errors.As(err, &bad) {
				if !yield(req, err) {
					return
				}
				err = nil
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

// requestFile reads one request after another.
type requestFile struct {
	lines    *logLines
	line     string // read already, if again
	again    bool
	readFile func(string) ([]byte, error)
	bodies   map[string][]byte
}

// read returns the next line without white space around it that is not a comment.
func (f *requestFile) read() (string, error) {
	for {
		if f.again {
			f.again = false
			return f.line, nil
		}
		line, err := f.lines.next()
		if f.line = strings.TrimSpace(line); err != nil || !strings.HasPrefix(f.line, "#") {
			return f.line, err
		}
	}
}

// next returns the next request. A bad one is a *loadtest.LineError, after which there may be
// more.
func (f *requestFile) next() (*loadtest.Request, error) {
	line := ""
	for line == "" {
		var err error
		if line, err = f.read(); err != nil {
			return nil, err
		}
	}
	n := f.lines.Number()
	req, err := new(loadtest.Request), error(nil)
	if strings.HasPrefix(line, "{") {
		req, err = requestOfJSON(line)
	} else {
		method, url, ok := strings.Cut(line, " ")
		if !ok {
			err = errors.New("want a method and a URL, such as GET http://localhost:8080/")
		}
		req = &loadtest.Request{Method: method, URL: strings.TrimSpace(url), Header: http.Header{}}
		if bad := f.readRest(req); bad != nil && err == nil {
			return nil, bad
		}
	}
	if err == nil {
		err = req.Validate()
	}
	if err != nil {
		return nil, lineError(n, line, err)
	}
	return req, nil
}

// readRest reads the headers and the body of a request. Its error is the first fault of a
// line; the others are read all the same.
func (f *requestFile) readRest(req *loadtest.Request) (first error) {
	for {
		line, err := f.read()
		if errors.Is(err, io.EOF) || err == nil && line == "" {
			return first
		}
		if err == nil && (isRequestLine(line) || strings.HasPrefix(line, "{")) {
			f.again = true
			return first
		}
		if err == nil {
			if err = f.addLine(req, line); err != nil {
				err = lineError(f.lines.Number(), line, err)
			}
		}
		if first == nil {
			first = err
		}
		var bad *loadtest.LineError
		if err != nil && !errors.As(err, &bad) {
			return err
		}
	}
}

// addLine adds a header or the body.
func (f *requestFile) addLine(req *loadtest.Request, line string) (err error) {
	if name, ok := strings.CutPrefix(line, "@"); ok {
		if req.Body != nil {
			return errors.New("the request has a body already")
		}
		req.Body, err = f.body(name)
		return err
	}
	name, value, ok := strings.Cut(line, ":")
	if name, value = strings.TrimSpace(name), strings.TrimSpace(value); !ok || name == "" || value == "" {
		return errors.New("want a header such as Accept: */*, @ and the name of a file, or a request")
	}
	req.Header[name] = append(req.Header[name], value)
	return nil
}

// body returns the contents of a file, which is not nil.
func (f *requestFile) body(name string) ([]byte, error) {
	if body, ok := f.bodies[name]; ok {
		return body, nil
	}
	body, err := f.readFile(name)
	if err != nil {
		return nil, err
	}
	if len(f.bodies) >= maxKeptBodies {
		clear(f.bodies)
	}
	if body == nil {
		body = []byte{}
	}
	f.bodies[name] = body
	return body, nil
}

// isRequestLine reports whether line begins with a method in capitals, which no header does.
func isRequestLine(line string) bool {
	method, _, ok := strings.Cut(line, " ")
	return ok && method != "" && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

func requestOfJSON(line string) (*loadtest.Request, error) {
	var target struct {
		Method string      `json:"method"`
		URL    string      `json:"url"`
		Header http.Header `json:"header"`
		Body   []byte      `json:"body"`
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	switch err := d.Decode(&target); {
	case err != nil:
		return nil, fmt.Errorf("want an object with method, url, header and body: %w", err)
	case strings.TrimSpace(line[d.InputOffset():]) != "":
		return nil, errors.New("there is more behind the object")
	case target.Method == "":
		return nil, errors.New("no method")
	}
	return &loadtest.Request{Method: target.Method, URL: target.URL, Header: target.Header, Body: target.Body}, nil
}
