package loadtest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadURLs(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "testdata", "urls.txt"))
	require.NoError(t, err)
	defer f.Close()
	urls, err := ReadURLs(f)
	require.NoError(t, err)
	require.Equal(t, []string{
		"http://127.0.0.1:8080/get",
		"http://127.0.0.1:8080/status/204",
		"http://127.0.0.1:8080/bytes/1024",
		"http://127.0.0.1:8080/get?q=a%20b#part",
	}, urls)
}

func TestReadURLsReportsEveryBadLineByNumber(t *testing.T) {
	urls, err := ReadURLs(strings.NewReader("http://ok/\nnot a url\n\n# fine\nftp://host/\nhttp://also-ok/\nhttp://\n"))
	require.Nil(t, urls, "a list with bad lines is not half used")
	for _, text := range []string{"line 2: ", "line 5: ", "line 7: "} {
		require.ErrorContains(t, err, text)
	}
	var line *LineError
	require.ErrorAs(t, err, &line)
	require.Equal(t, 2, line.Line)
	require.Equal(t, "not a url", line.Text)
	require.Error(t, line.Unwrap())
}

func TestReadURLsReadsWhatPeopleWrite(t *testing.T) {
	list := "http://h/search?q=hello world\nhttp://me:p%40ss@h/\nhttp://h/größe?q=日本\n"
	urls, err := ReadURLs(strings.NewReader(list))
	require.NoError(t, err)
	require.Equal(t, strings.Split(strings.TrimSpace(list), "\n"), urls, "they are escaped when they are sent")

	for line, text := range map[string]string{
		"http://h:65536/":       "port 65536 is above 65535",
		"http://h/a\tb":         "control character",
		"http://h/100%":         "invalid URL escape",
		"http://me:s3c/ret@h/":  "percent-encode",
		"http://me:s3cret@h:x/": "percent-encode",
		"ftp://me:s3cret@h/":    "scheme must be http or https",
		"me:s3cret@h":           "scheme must be http or https",
	} {
		_, err := ReadURLs(strings.NewReader("http://ok/\n" + line))
		require.ErrorContains(t, err, "loadtest: line 2: ")
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "s3c")
		var fault *LineError
		require.ErrorAs(t, err, &fault)
		require.NotContains(t, fault.Text, "s3c")
	}
}

func TestReadURLsUnderstandsWindowsFiles(t *testing.T) {
	urls, err := ReadURLs(strings.NewReader("\ufeffhttp://a/\r\n\r\n  http://b/ \t\r\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"http://a/", "http://b/"}, urls)
}

func TestReadURLsRefusesWhatItCannotRead(t *testing.T) {
	_, err := ReadURLs(strings.NewReader("# only a comment\n\n"))
	require.ErrorIs(t, err, ErrEmptySource)

	_, err = ReadURLs(strings.NewReader("http://a/\nhttp://" + strings.Repeat("x", maxURLLine)))
	require.ErrorContains(t, err, "line 2: longer than 65536 bytes")

	_, err = ReadURLs(readerFunc(func([]byte) (int, error) { return 0, errTest }))
	require.ErrorIs(t, err, errTest)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzReadURLs(f *testing.F) {
	f.Add("http://a/\n# comment\n\nhttps://b:1/x?y#z\n")
	f.Add("\ufeffhttp://a\r\n")
	f.Add("http://[::1]:80/\nhttp://%zz/\n\x00\n")
	f.Fuzz(func(t *testing.T, text string) {
		urls, err := ReadURLs(strings.NewReader(text))
		if err != nil {
			require.Nil(t, urls)
			var line *LineError
			if !errors.As(err, &line) {
				require.ErrorIs(t, err, ErrEmptySource)
			}
			return
		}
		require.NotEmpty(t, urls)
		for _, u := range urls {
			require.NoError(t, Get(u).Validate(), "what the list admits, an engine sends")
		}
	})
}
