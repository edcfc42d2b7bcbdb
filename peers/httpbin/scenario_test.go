// Package httpbin_test has users walk through scenarios against go-httpbin, a server by
// others, and holds what the results say against what the server has counted.
package httpbin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/check"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is what users do at a server. Its requests are shared by all users.
type site struct {
	url                            string
	cookies, uuid, headers, gzip   *loadtest.Request
	upload, form, again, teapot    *loadtest.Request
	relative, absolute, tooFar     *loadtest.Request
	delay, missing, denied, health *loadtest.Request
	jar                            http.CookieJar // planted: the one jar of all users; nil if each has its own
}

const uploadSize = 100 << 10

// newSite returns the site at the URL base.
func newSite(base string) *site {
	get := func(name, path string, checks ...check.Func) *loadtest.Request {
		r := named(name, loadtest.Get(base+path))
		if len(checks) > 0 {
			r.Check = check.All(checks...)
		}
		return r
	}
	expect := func(r *loadtest.Request, codes ...int) *loadtest.Request {
		r.Expect = codes
		return r
	}
	text := strings.Repeat("0123456789abcdef", uploadSize/16)
	s := &site{
		url:      base,
		cookies:  get("cookies", "/cookies"),
		uuid:     get("uuid", "/uuid", check.JSON("$.uuid")),
		headers:  get("headers", "/headers", check.JSON("$.headers['X-Custom'][0]", "kept"), check.Header("Content-Type", "application/json; charset=utf-8")),
		gzip:     get("gzip", "/gzip", check.Header("Content-Encoding", "gzip")),
		relative: get("redirect", "/relative-redirect/3", check.JSON("$.method", "GET")),
		absolute: get("redirect", "/absolute-redirect/2", check.JSON("$.method", "GET")),
		tooFar:   get("too far", "/redirect/3"),
		delay:    get("delay", "/delay/0.01"),
		missing:  expect(get("missing", "/status/404"), http.StatusNotFound),
		denied:   get("denied", "/basic-auth/me/secret"),
		teapot:   expect(get("teapot", "/status/418"), http.StatusOK, http.StatusTeapot),
		health:   get("health", "/status/200"),
		upload:   named("upload", loadtest.Post(base+"/post", "text/plain", []byte(text))),
		again:    named("again", loadtest.Post(base+"/redirect-to?status_code=307&url=/post", "text/plain", []byte(text))),
	}
	s.headers.Header.Set("X-Custom", "kept")
	sent := check.All(check.JSON("$.method", "POST"), check.JSON("$.data", text))
	s.upload.Check, s.again.Check = sent, sent
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, _ := w.CreateFormFile("file", "a.txt") // a bytes.Buffer does not fail
	_, _ = part.Write([]byte(text))
	_ = w.Close()
	s.form = named("form", loadtest.Post(base+"/post", w.FormDataContentType(), form.Bytes()))
	s.form.Check = check.JSON("$.files.file[0]", text)
	return s
}

// named gives r a name, which the server is told.
func named(name string, r *loadtest.Request) *loadtest.Request {
	r.Name = name
	r.Header.Set(nameHeader, name)
	return r
}

func userName(number int64) string { return fmt.Sprint("u", number) }

// login has u log in, which sets a cookie and redirects to a page that shows it.
func (s *site) login(u *loadtest.User) error {
	u.KeepCookies()
	if s.jar != nil {
		u.Jar = s.jar
	}
	u.MaxRedirects = 3
	me := userName(u.Number())
	req := named("login", loadtest.Get(s.url+"/cookies/set?user="+me))
	req.Check = check.JSON("$.cookies.user", me)
	_, err := u.Do(req)
	return err
}

// whoAmI returns an error if u's cookies are not those of u.
func (s *site) whoAmI(u *loadtest.User) error {
	resp, err := u.Do(s.cookies)
	if err != nil {
		return err
	}
	var page struct{ Cookies map[string]string }
	if err := json.Unmarshal(resp.Body, &page); err != nil {
		return err
	}
	if me := userName(u.Number()); len(page.Cookies) != 1 || page.Cookies["user"] != me {
		return fmt.Errorf("the cookies of %s are %v", me, page.Cookies)
	}
	return nil
}

// browse sends 14 requests: login and its redirect, cookies, headers, gzip, missing, and
// 4 + 3 of redirects, and cookies again.
func (s *site) browse(_ context.Context, u *loadtest.User) error {
	if err := s.login(u); err != nil {
		return err
	}
	if err := errors.Join(u.Pause(time.Duration(1+u.Rand().IntN(20))*time.Millisecond), s.whoAmI(u)); err != nil {
		return err
	}
	for _, req := range []*loadtest.Request{s.headers, s.missing, s.relative, s.absolute} {
		if _, err := u.Do(req); err != nil {
			return fmt.Errorf("%s: %w", req.Name, err)
		}
	}
	resp, err := u.Do(s.gzip)
	if err != nil {
		return err
	}
	r, err := gzip.NewReader(bytes.NewReader(resp.Body))
	if err != nil {
		return err
	}
	var page struct{ Gzipped bool }
	if err := json.NewDecoder(r).Decode(&page); err != nil || !page.Gzipped {
		return fmt.Errorf("gzipped: %v, %w", page.Gzipped, err)
	}
	return errors.Join(u.Pause(time.Millisecond), s.whoAmI(u))
}

// buy sends 8 requests: login and its redirect, uuid, bearer, upload, form, again and its
// redirect.
func (s *site) buy(_ context.Context, u *loadtest.User) error {
	if err := s.login(u); err != nil {
		return err
	}
	resp, err := u.Do(s.uuid)
	if err != nil {
		return err
	}
	var page struct{ UUID string }
	if err := json.Unmarshal(resp.Body, &page); err != nil {
		return err
	}
	bearer := named("bearer", loadtest.Get(s.url+"/bearer"))
	bearer.Header.Set("Authorization", "Bearer "+page.UUID)
	bearer.Check = check.JSON("$.token", page.UUID)
	for _, req := range []*loadtest.Request{bearer, s.upload, s.form, s.again} {
		if _, err := u.Do(req); err != nil {
			return fmt.Errorf("%s: %w", req.Name, err)
		}
	}
	return u.Pause(5 * time.Millisecond)
}

var errPlanned = errors.New("planned")

// administer sends 9 requests, of which 1 fails, and fails itself: denied and allowed,
// too far with its two redirects, one of which is not followed, delay, teapot.
func (s *site) administer(_ context.Context, u *loadtest.User) error {
	resp, err := u.Do(s.denied)
	var status *resilience.StatusError
	if !errors.As(err, &status) || resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("Www-Authenticate") == "" {
		return fmt.Errorf("denied: %d, %w", resp.StatusCode, err)
	}
	allowed := named("allowed", loadtest.Get(s.denied.URL))
	allowed.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("me:secret")))
	allowed.Check = check.JSON("$.authenticated", true)
	if _, err := u.Do(allowed); err != nil {
		return err
	}
	inURL := named("allowed", loadtest.Get(strings.Replace(s.denied.URL, "://", "://me:secret@", 1)))
	if _, err := u.Do(inURL); err != nil {
		return err
	}
	u.MaxRedirects = 2
	if resp, err := u.Do(s.tooFar); err == nil || resp.StatusCode != http.StatusFound {
		return fmt.Errorf("too far: %d, %w", resp.StatusCode, err)
	}
	for _, req := range []*loadtest.Request{s.delay, s.teapot, s.health} {
		if _, err := u.Do(req); err != nil {
			return fmt.Errorf("%s: %w", req.Name, err)
		}
	}
	return errPlanned
}

// mix is 90 that browse, 9 that buy and 1 that administers.
func (s *site) mix(users int64) loadtest.Source {
	return loadtest.Take(users, loadtest.Mix(
		loadtest.Weighted{Weight: 90, Scenario: s.browse, Name: "browse"},
		loadtest.Weighted{Weight: 9, Scenario: s.buy, Name: "buy"},
		loadtest.Weighted{Weight: 1, Scenario: s.administer, Name: "administer"},
	))
}

// walks says how many requests each scenario sends, by name.
var walks = map[string]map[string]int64{
	"browse":     {"login": 2, "cookies": 2, "headers": 1, "missing": 1, "redirect": 7, "gzip": 1},
	"buy":        {"login": 2, "uuid": 1, "bearer": 1, "upload": 1, "form": 1, "again": 2},
	"administer": {"denied": 1, "allowed": 2, "too far": 3, "delay": 1, "teapot": 1, "health": 1},
}

var tracing = loadtest.Tracing{TraceContext: true, RequestID: idHeader}

// clients are the wires that users' requests go over: two of net/http's ways, HTTP/2 and
// our own.
func clients(srv *server) map[string]func() loadtest.Client {
	return map[string]func() loadtest.Client{
		"net-http": func() loadtest.Client { return loadtest.NetHTTP(loadtest.ConnectionConfig{}) },
		"pool":     func() loadtest.Client { return loadtest.NetHTTP(loadtest.ConnectionConfig{MaxConnections: 8}) },
		"wire":     func() loadtest.Client { return loadtest.Wire(loadtest.ConnectionConfig{}) },
		"http2":    func() loadtest.Client { return loadtest.NetHTTP(loadtest.ConnectionConfig{TLS: srv.tls()}) },
	}
}

// In a closed and in an open loop, over each wire, the results are what the server has
// counted: each request of them, and no cookie is sent by another user.
func TestScenarios(t *testing.T) {
	const users = 100
	for _, name := range []string{"net-http", "pool", "wire", "http2"} {
		for loop, config := range map[string]func(loadtest.Client, loadtest.Exclude) loadtest.EngineConfig{
			"closed": func(c loadtest.Client, x loadtest.Exclude) loadtest.EngineConfig {
				return loadtest.AsyncConfig{Client: c, MaxConcurrent: 20, Tracing: tracing, Exclude: x}
			},
			"open": func(c loadtest.Client, x loadtest.Exclude) loadtest.EngineConfig {
				return loadtest.ArrivalConfig{
					Client: c, Schedule: pace.Constant(400).Take(users), MaxCatchUp: time.Minute, Tracing: tracing, Exclude: x,
				}
			},
		} {
			for kind, exclude := range map[string]loadtest.Exclude{
				"all": {}, "users": {WarmUpRequests: 50}, "time": {WarmUp: 50 * time.Millisecond},
			} {
				if kind != "all" && name != "net-http" {
					continue // what is counted does not depend on the way
				}
				t.Run(name+"/"+loop+"/"+kind, func(t *testing.T) {
					srv := newServer(t, name == "http2")
					s := newSite(srv.URL)
					e := loadtest.Start(t, config(clients(srv)[name](), exclude))
					var records []loadtest.RequestResult
					r, err := e.RunStreaming(t.Context(), s.mix(users), func(r loadtest.RequestResult) error {
						records = append(records, r)
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					for _, fault := range audit(r, records, srv.requests()) {
						t.Error(fault)
					}
					if kind == "all" {
						complete(t, r, users)
					} else if len(r.Excluded) == 0 || r.Users == 0 || r.Users == users {
						t.Errorf("%d users are counted, and %d intervals are not", r.Users, len(r.Excluded))
					}
				})
			}
		}
	}
}

// complete tests that r has all that so many users do.
func complete(t *testing.T, r *loadtest.EngineResult, users int64) {
	t.Helper()
	want := make(map[string]int64)
	var started int64
	for scenario, requests := range walks {
		got := r.Scenarios[scenario]
		if got == nil {
			t.Fatalf("no user of %s", scenario)
		}
		var each int64
		for name, n := range requests {
			want[name] += n * got.Started
			each += n
		}
		failed, message := int64(0), ""
		if scenario == "administer" {
			failed, message = got.Started, errPlanned.Error()
		}
		if got.Failed != failed || got.Finished != got.Started-failed || got.Error != message || got.Requests != each*got.Started {
			t.Errorf("%s: %v, want %d requests each", scenario, got, each)
		}
		started += got.Started
	}
	if started != users || r.Users != users || r.UserRequests != r.Requests {
		t.Errorf("%d users in scenarios, %d in all, with %d of %d requests; want %d with all", started, r.Users, r.UserRequests, r.Requests, users)
	}
	for name, n := range want {
		if got := r.Endpoints[name]; got == nil || got.Requests != n {
			t.Errorf("%s: %v, want %d requests", name, got, n)
		}
	}
	denied := r.Scenarios["administer"].Started
	if r.ErrorCount != denied || r.Errors[loadtest.ClassStatus] != denied || r.StatusCodes[http.StatusUnauthorized] != denied {
		t.Errorf("errors %v and statuses %v, want %d that are denied", r.Errors, r.StatusCodes, denied)
	}
	if share := r.Scenarios["browse"].Started; share < users*90/100-2 || share > users*90/100+2 {
		t.Errorf("%d of %d users browse, want 90 %%", share, users)
	}
}

// The audit sees cookies that reach another user: here all users have one jar.
func TestSharedCookiesAreFound(t *testing.T) {
	srv := newServer(t, false)
	s := newSite(srv.URL)
	var err error
	if s.jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	e := loadtest.Start(t, loadtest.AsyncConfig{MaxConcurrent: 5, Tracing: tracing})
	var records []loadtest.RequestResult
	r, err := e.RunStreaming(t.Context(), loadtest.Times(20, loadtest.Walk("browse", s.browse)), func(r loadtest.RequestResult) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if u, _ := url.Parse(srv.URL); len(s.jar.Cookies(u)) != 1 {
		t.Fatal("the jar was not used")
	}
	var found bool
	for _, fault := range audit(r, records, srv.requests()) {
		if !strings.Contains(fault, "the cookie of") {
			t.Error(fault)
		}
		found = true
	}
	if !found || r.Scenarios["browse"].Failed == 0 {
		t.Error("the audit has seen nothing")
	}
}

// The audit sees a request that is missing on either side, and one that differs.
func TestAuditFindsWhatDiffers(t *testing.T) {
	srv := newServer(t, false)
	s := newSite(srv.URL)
	e := loadtest.Start(t, loadtest.SyncConfig{Tracing: tracing})
	var records []loadtest.RequestResult
	r, err := e.RunStreaming(t.Context(), s.mix(3), func(r loadtest.RequestResult) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := srv.requests()
	if faults := audit(r, records, seen); len(faults) > 0 {
		t.Fatal(faults)
	}
	for what, plant := range map[string]func(rows []seenRequest) []seenRequest{
		"lost":      func(rows []seenRequest) []seenRequest { return rows[1:] },
		"too many":  func(rows []seenRequest) []seenRequest { return append(rows, seenRequest{id: "other"}) },
		"twice":     func(rows []seenRequest) []seenRequest { return append(rows, rows[0]) },
		"status":    func(rows []seenRequest) []seenRequest { rows[0].status++; return rows },
		"bytes":     func(rows []seenRequest) []seenRequest { rows[0].bytes++; return rows },
		"name":      func(rows []seenRequest) []seenRequest { rows[0].name = "x"; return rows },
		"trace":     func(rows []seenRequest) []seenRequest { rows[0].trace = rows[1].trace; return rows },
		"span":      func(rows []seenRequest) []seenRequest { rows[0].span = rows[1].span; return rows },
		"no cookie": func(rows []seenRequest) []seenRequest { rows[2].cookie = ""; return rows },
	} {
		if faults := audit(r, records, plant(append([]seenRequest(nil), seen...))); len(faults) == 0 {
			t.Errorf("%s: not found", what)
		}
	}
}
