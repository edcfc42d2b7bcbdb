package check

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

func response(status int, kind, body string) loadtest.Response {
	r := loadtest.Response{StatusCode: status, Header: http.Header{}, Body: []byte(body), Bytes: int64(len(body))}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

var (
	user  = response(200, "application/json", `{"id":9007199254740993,"name":"ann","tags":["a","b"],"none":null,"score":1.50,"items":[{"n":1},{"n":2}]}`)
	page  = response(200, "text/html; charset=utf-8", "<html>\n  <h1>It works</h1>\n</html>")
	empty = response(204, "", "")
)

func TestChecks(t *testing.T) {
	own := errors.New("mine")
	for name, tt := range map[string]struct {
		check Func
		resp  loadtest.Response
		text  string // empty: passes
	}{
		"status":          {Status(200), page, ""},
		"one of statuses": {Status(201, 200), page, ""},
		"wrong status":    {Status(201, 202), page, "check: want status 201 or 202; got 200 text/html; charset=utf-8 of 34 bytes: <html> <h1>It works</h1> </html>"},
		"no body":         {Status(200), empty, "check: want status 200; got 204 without a body"},
		"a function":      {Status(200), loadtest.Response{}, "check: want status 200; got without a body"},

		"header":              {Header("content-type", "application/json"), user, ""},
		"wrong header":        {Header("content-type", "text/css"), user, `check: want header Content-Type = "text/css"; got Content-Type: ["application/json"]`},
		"no header":           {Header("ETag", ""), empty, `check: want header Etag = ""; got no such header, 204 without a body`},
		"header pattern":      {HeaderMatches("Content-Type", "^text/"), page, ""},
		"wrong pattern":       {HeaderMatches("Content-Type", "^text/$"), page, `check: want header Content-Type matching "^text/$"; got Content-Type: ["text/html; charset=utf-8"]`},
		"any value":           {HeaderMatches("Content-Type", ""), page, ""},
		"any value, no value": {HeaderMatches("Etag", ""), page, `check: want header Etag matching ""; got no such header, 200 text/html; charset=utf-8 of 34 bytes: <html> <h1>It works</h1> </html>`},

		"contains":     {Contains("It works"), page, ""},
		"contains not": {Contains("it works"), page, `check: want body containing "it works"; got 200 text/html; charset=utf-8 of 34 bytes: <html> <h1>It works</h1> </html>`},
		"matches":      {Matches("(?i)IT w.rks"), page, ""},
		"matches not":  {Matches("^It"), empty, `check: want body matching "^It"; got 204 without a body`},

		"smallest":  {Size(34, 40), page, ""},
		"largest":   {Size(0, 34), page, ""},
		"too small": {Size(35, math.MaxInt64), page, "check: want body of 35 to 9223372036854775807 bytes; got 200 text/html; charset=utf-8 of 34 bytes: <html> <h1>It works</h1> </html>"},
		"too large": {Size(0, 0), response(200, "", "x"), "check: want body of 0 to 0 bytes; got 200 of 1 bytes: x"},

		"exists":            {JSON("$.name"), user, ""},
		"null exists":       {JSON("$.none"), user, ""},
		"is null":           {JSON("$.none", nil), user, ""},
		"is not null":       {JSON("$.name", nil), user, `check: want JSON $.name = null; got $.name = "ann"`},
		"does not exist":    {JSON("$.x"), response(200, "", `{"y":1}`), `check: want JSON $.x; got nothing there, 200 of 7 bytes: {"y":1}`},
		"equals":            {JSON("$.name", "ann"), user, ""},
		"one of":            {JSON("$.name", "bob", "ann"), user, ""},
		"none of":           {JSON("$.name", "bob", 7), user, `check: want JSON $.name = "bob" or 7; got $.name = "ann"`},
		"large number":      {JSON("$.id", int64(9007199254740993)), user, ""},
		"its neighbor":      {JSON("$.id", 9007199254740992), user, `check: want JSON $.id = 9007199254740992; got $.id = 9007199254740993`},
		"fraction":          {JSON("$.score", 1.5), user, ""},
		"wrong fraction":    {JSON("$.score", 1.25), user, `check: want JSON $.score = 1.25; got $.score = 1.50`},
		"integral fraction": {JSON("$[0]", 7), response(200, "", "[7.0]"), ""},
		"out of range":      {JSON("$", 1e308), response(200, "", "1e309"), `check: want JSON $ = 1e+308; got $ = 1e309`},
		"string, no number": {JSON("$", 7), response(200, "", `"7"`), `check: want JSON $ = 7; got $ = "7"`},
		"list":              {JSON("$.tags", []string{"a", "b"}), user, ""},
		"longer list":       {JSON("$.tags", []string{"a"}), user, `check: want JSON $.tags = ["a"]; got $.tags = ["a","b"]`},
		"object": {JSON("$.items[1]", struct {
			N int `json:"n"`
		}{2}), user, ""},
		"other object":     {JSON("$.items[1]", map[string]any{"m": 2}), user, `check: want JSON $.items[1] = {"m":2}; got $.items[1] = {"n":2}`},
		"each":             {JSON("$.items[*].n", 1, 2), user, ""},
		"not each":         {JSON("$.items[*].n", 1), user, `check: want JSON $.items[*].n = 1; got $.items[*].n = 2`},
		"filter":           {JSON("$.items[?@.n > 1].n", 2), user, ""},
		"length":           {JSON("$[?length(@) == 2]"), user, ""},
		"no JSON":          {JSON("$"), page, "check: want JSON $; got no JSON (invalid character '<' looking for beginning of value), 200 text/html; charset=utf-8 of 34 bytes: <html> <h1>It works</h1> </html>"},
		"no body, no JSON": {JSON("$"), empty, "check: want JSON $; got no JSON (EOF), 204 without a body"},
		"two values":       {JSON("$"), response(200, "", "{} {}"), "check: want JSON $; got no JSON (something follows after 4 bytes), 200 of 5 bytes: {} {}"},

		"all":        {All(Status(200), Contains("works")), page, ""},
		"not all":    {All(Status(200), Contains("x"), Contains("y")), empty, "check: want status 200; got 204 without a body"},
		"any":        {Any(Status(500), Contains("works")), page, ""},
		"none":       {Any(Status(200), Contains("x")), empty, `check: want status 200, or body containing "x"; got 204 without a body`},
		"own":        {All(func(loadtest.Response) error { return own }), page, "mine"},
		"own in any": {Any(Status(200), func(loadtest.Response) error { return own }), empty, `check: want status 200, or no error "mine"; got 204 without a body`},
		"not":        {Not(Contains("Oops")), page, ""},
		"but":        {Not(Contains("works")), response(200, "", "works"), "check: want the check in Not (check_test.go:LINE) to fail; got 200 of 5 bytes: works"},
		"not not":    {Not(Not(Status(200))), page, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.check(tt.resp)
			if tt.text == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			if strings.Contains(tt.text, "LINE") {
				require.Regexp(t, "^"+strings.NewReplacer("(", `\(`, ")", `\)`, "LINE", `\d+`).Replace(tt.text)+"$", err.Error())
			} else {
				require.Equal(t, tt.text, err.Error())
			}
			if name != "own" {
				require.ErrorIs(t, err, ErrFailed)
			}
			if strings.HasPrefix(name, "own") {
				require.ErrorIs(t, err, own)
			}
		})
	}
}

func TestErrorsTellTheirCheck(t *testing.T) {
	var e *Error
	require.ErrorAs(t, Status(201)(page), &e)
	require.Equal(t, "status 201", e.FailedCheck())
	require.Equal(t, e.Want, e.FailedCheck())
	require.NotErrorIs(t, errors.New("other"), ErrFailed)
	require.Empty(t, new(Error).Got())
}

// What cannot be checked is refused when the check is made, and so before the run.
func TestBadChecksPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"no status":          func() { Status() },
		"status 99":          func() { Status(200, 99) },
		"status 1000":        func() { Status(1000) },
		"no header name":     func() { Header("", "x") },
		"bad header pattern": func() { HeaderMatches("X", "(") },
		"bad pattern":        func() { Matches("(") },
		"bad path":           func() { JSON("name") },
		"bad want":           func() { JSON("$", func() {}) },
		"negative size":      func() { Size(-1, 1) },
		"reversed sizes":     func() { Size(2, 1) },
		"empty All":          func() { All() },
		"empty Any":          func() { Any() },
		"nil in All":         func() { All(Status(200), nil) },
		"nil in Not":         func() { Not(nil) },
	} {
		t.Run(name, func(t *testing.T) { require.Panics(t, f) })
	}
	require.PanicsWithValue(t, "check: Status(99): must be from 100 to 999", func() { Status(99) })
}

// A caller's slice is not kept.
func TestChecksDoNotChangeLater(t *testing.T) {
	codes, checks := []int{200}, []Func{Status(200)}
	status, all := Status(codes...), All(checks...)
	codes[0], checks[0] = 500, Status(500)
	require.NoError(t, status(page))
	require.NoError(t, all(page))
}

func TestPassingChecksDoNotAllocate(t *testing.T) {
	var err error
	for name, check := range map[string]Func{
		"Status": Status(200, 201), "Header": Header("Content-Type", "application/json"), "Contains": Contains("ann"),
		"Size": Size(1, 1000), "All": All(Status(200), Contains("ann")), "Any": Any(Status(200), Status(500)), "Not": Not(func(loadtest.Response) error { return ErrFailed }),
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() { err = errors.Join(err, check(user)) }), name)
		require.NoError(t, err, name)
	}
}

func TestChecksAreSafeForConcurrentUse(t *testing.T) {
	check := All(Status(200), Matches("a.n"), JSON(`$.items[?match(@.n, "x") || @.n > 1].n`, 2), Any(Status(201), JSON("$.name", "ann")))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // ends after its checks
			for range 50 {
				if err := check(user); err != nil {
					t.Error(err)
				}
				if err := check(page); err == nil {
					t.Error("a page passes")
				}
			}
		})
	}
	wg.Wait()
}

func TestWhatCameIsShownInOneShortLine(t *testing.T) {
	show := excerpt
	require.Equal(t, `a b`, show("a\r\n\t b"))
	require.Equal(t, `\x00\x1b[31mé\xff`, show("\x00\x1b[31mé\xff"))
	long := show(strings.Repeat("é", 2000))
	require.LessOrEqual(t, len(long), shown+len("é…"))
	require.Equal(t, strings.Repeat("é", 100)+"…", long)
	require.Equal(t, strings.Repeat("x", 200), show(strings.Repeat("x", 200)), "all of it: no dots")
	require.Equal(t, strings.Repeat("x", 200)+"…", show(strings.Repeat("x", 201)))
	require.Equal(t, " …", show(strings.Repeat(" ", window)), "more may follow")
	require.NotContains(t, describe(response(200, "a\nb", "x"))(), "\n")
}

// Reports are passed around.
func TestCredentialsAreNotQuoted(t *testing.T) {
	for _, text := range []string{
		`{"access_token":"hunter2","x":1}`, `{"password" : "hunter2"}`, `{"password":"a\"hunter2"}`, `{"token":"hunter2`,
		`password=hunter2&x=1`, `api-key: hunter2`, `see http://ann:hunter2@h/`, `Authorization: Basic hunter2`,
		`uses Bearer hunter2hunter2`, `{'secret':'x hunter2'}`, `{"Refresh_Token":"hunter2"}`,
		`{"token": ["a","hunter2"], "x": 1}`,
	} {
		require.NotContains(t, Status(201)(response(200, "text/plain", text)).Error(), "hunter2", text)
		require.NotContains(t, Status(201)(response(200, text, "")).Error(), "hunter2", text)
		require.Contains(t, Status(201)(response(200, "", text)).Error(), "***", text)
	}
	r := response(200, "application/json", `{"token":"hunter2","user":{"secret":"hunter2","author":"ann"}}`)
	r.Header["Set-Cookie"] = []string{"a=hunter2; Path=/", "b=\"hunter2\""}
	for _, check := range []Func{Header("Set-Cookie", "sid=hunter3"), JSON("$.token", "hunter"), JSON("$['token']", "x"), JSON("$.user", 1), JSON("$.token", 1, "hunter2x")} {
		require.NotContains(t, check(r).Error(), "hunter2")
	}
	require.Contains(t, JSON("$.user", 1)(r).Error(), `"author":"ann"`, "no more than that is hidden")
	require.Contains(t, describe(r)(), `{"token":***,"user":{"secret":***,"author":"ann"}}`)
	require.Contains(t, JSON("$", 1)(response(200, "", `{"tokens":12}`)).Error(), `{"tokens":12}`)

	far := strings.Repeat(" ", window-20) + `{"token":"hunter2"}`
	require.NotContains(t, Status(201)(response(200, "", far)).Error(), "hunt", "cut within it")
}

// A response is only valid until its check returns.
func TestErrorsKeepNothingOfAResponse(t *testing.T) {
	for name, check := range map[string]Func{
		"body": Contains("x"), "header": Header("Content-Type", "x"), "no header": Header("Etag", ""), "JSON": JSON("$.a", 2), "no value": JSON("$.b"), "any": Any(Status(1 + 100)),
	} {
		r := response(200, "text/plain", `{"a":1}`)
		err := check(r)
		before := err.Error()
		clear(r.Body)
		r.Header["Content-Type"][0] = "y"
		require.Equal(t, before, err.Error(), name)
	}
}
