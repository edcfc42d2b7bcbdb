package data

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/brunt/loadtest"
)

// ReadFile reads a table from a file: CSV if its name ends in .csv, JSON lines if it ends
// in .jsonl or .ndjson.
func ReadFile(name string) (*Rows, error) {
	read := ReadCSV
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".csv":
	case ".jsonl", ".ndjson":
		read = ReadJSONLines
	default:
		return nil, fmt.Errorf("data: %s: the name must end in .csv, .jsonl or .ndjson; for others use ReadCSV or ReadJSONLines", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	rows, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", name, err)
	}
	return rows, nil
}

// ReadCSV reads comma-separated values as RFC 4180 describes them, in UTF-8. The first
// line names the columns. Quoted fields may hold commas, quotes and line breaks; a byte
// order mark and CRLF line ends are understood, blank lines passed over.
//
// Rows must have as many fields as there are columns. Columns without a name or with one
// that another has are faults, and so is a table without a row. The error has each fault
// up to the first place from which on the rest cannot be read, and a
// [loadtest.LineError] for each that is one of a line; its Text is empty, for rows may
// hold passwords.
func ReadCSV(r io.Reader) (*Rows, error) {
	in, err := text(r)
	if err != nil {
		return nil, err
	}
	return ReadRecords(csv.NewReader(in))
}

// ReadRecords is [ReadCSV] for a csv.Reader that has been set up for something else, such
// as another Comma. It sets FieldsPerRecord and ReuseRecord.
func ReadRecords(records *csv.Reader) (*Rows, error) {
	records.FieldsPerRecord, records.ReuseRecord = -1, true
	header, err := records.Read()
	if errors.Is(err, io.EOF) {
		return nil, errNoHeader
	} else if err != nil {
		return nil, recordError(err)
	}
	line, _ := records.FieldPos(0)
	rows, err := newRows(header)
	var faults []error
	if err != nil {
		faults = append(faults, lineError(line, 0, err))
	}
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return rows.done(faults)
		} else if err != nil {
			return rows.done(append(faults, recordError(err)))
		}
		if n := len(rows.columns); len(record) != n {
			line, column := records.FieldPos(min(n, len(record)-1))
			faults = append(faults, lineError(line, int64(column), fmt.Errorf("%d fields, want %d as in the header", len(record), n)))
			continue
		}
		rows.values = append(rows.values, record...)
	}
}

// recordError returns the error that one of a csv.Reader stands for.
func recordError(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("data: %w", err)
	}
	err = parse.Err
	if parse.Line != parse.StartLine {
		err = fmt.Errorf("%w, in the record that begins in line %d", err, parse.StartLine)
	}
	return lineError(parse.Line, int64(parse.Column), err)
}

// maxLine bounds one line of JSON.
const maxLine = 16 << 20

// ReadJSONLines reads a JSON object a line, in UTF-8. The members of the first name the
// columns; all other lines must have the same ones, in any order. Strings are the values
// that they stand for, null is the empty one, and of anything else the value is the JSON
// text. A byte order mark and CRLF line ends are understood, blank lines passed over. A
// line has at most 16 MiB. Faults are reported as by [ReadCSV].
func ReadJSONLines(r io.Reader) (*Rows, error) {
	in, err := text(r)
	if err != nil {
		return nil, err
	}
	var (
		rows   *Rows
		faults []error
		lines  = bufio.NewScanner(in)
		n      int
	)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		names, values, column, err := readObject(line)
		switch {
		case err != nil:
		case rows == nil:
			rows, err = newRows(names)
			column = 0
			if len(names) == 0 {
				err = errors.New("an object without members")
			}
			rows.values = values
		default:
			err = rows.add(names, values)
		}
		if err != nil {
			faults = append(faults, lineError(n, column, err))
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		faults = append(faults, lineError(n+1, 0, fmt.Errorf("longer than %d bytes", maxLine)))
	} else if err != nil {
		faults = append(faults, fmt.Errorf("data: %w", err))
	}
	return rows.done(faults)
}

// readObject returns the members of a JSON object; with an error, in which column it is.
func readObject(line []byte) (names, values []string, column int64, err error) {
	var all json.RawMessage
	if err := json.Unmarshal(line, &all); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			column = syntax.Offset
		}
		return nil, nil, column, err
	}
	d := json.NewDecoder(bytes.NewReader(line)) // does not fail any more
	if first, _ := d.Token(); first != json.Delim('{') {
		return nil, nil, 1, errors.New("not a JSON object")
	}
	for d.More() {
		name, _ := d.Token()
		var raw json.RawMessage
		_ = d.Decode(&raw)
		value := string(raw)
		switch raw[0] {
		case '"':
			_ = json.Unmarshal(raw, &value)
		case 'n':
			value = ""
		}
		names, values = append(names, name.(string)), append(values, value)
	}
	return names, values, 0, nil
}

// add adds a row, given as its members in any order.
func (r *Rows) add(names, values []string) error {
	row := make([]string, len(r.columns))
	seen := make([]bool, len(r.columns))
	var faults []error
	for i, name := range names {
		at, ok := r.at[name]
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("%q, which the first line has not", name))
		case seen[at]:
			faults = append(faults, fmt.Errorf("%q twice", name))
		default:
			row[at], seen[at] = values[i], true
		}
	}
	for at, ok := range seen {
		if !ok {
			faults = append(faults, fmt.Errorf("no %q, which the first line has", r.columns[at]))
		}
	}
	r.values = append(r.values, row...)
	return errors.Join(faults...)
}

var (
	errNoHeader = fmt.Errorf("%w: no header line that names the columns", loadtest.ErrEmptySource)
	errNoRows   = fmt.Errorf("%w: the table holds no row", loadtest.ErrEmptySource)
)

// done returns the table, if there is one and it has no faults.
func (r *Rows) done(faults []error) (*Rows, error) {
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case r == nil || len(r.values) == 0:
		return nil, errNoRows
	}
	r.values = slices.Clip(r.values)
	return r, nil
}

func lineError(line int, column int64, err error) error {
	if column > 0 {
		err = fmt.Errorf("column %d: %w", column, err)
	}
	return &loadtest.LineError{Line: line, Err: err}
}

// text returns r without a byte order mark.
func text(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	mark, err := in.Peek(3) // fewer at the end
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, errors.New("data: this is UTF-16: save it as UTF-8")
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("data: %w", err)
	}
	return in, nil
}
