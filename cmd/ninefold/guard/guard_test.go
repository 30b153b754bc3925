package guard_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/cmd/ninefold/guard"
)

const secret = "a-token-of-twenty-two!"

var inside = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("inside")) })

func ask(h http.Handler, method, target string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if host := header["Host"]; host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]int{
		"localhost:9900": 200, "127.0.0.1:9900": 200, "[::1]:9900": 200, "localhost": 200, "LOCALHOST:1": 200, "127.1.2.3": 200,
		"evil.example:9900": 421, "192.168.1.7:9900": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:9900": 421, "0.0.0.0:9900": 421,
	} {
		if got := ask(guard.Loopback(inside), "GET", "/", map[string]string{"Host": host}).Code; got != want {
			t.Errorf("host %q: %d, want %d", host, got, want)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	for _, tc := range []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"our own page", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"a program", "POST", nil, 200},
		{"another site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"another port", "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"an old browser on another site", "POST", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a link from another site", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
	} {
		if got := ask(guard.SameOrigin(inside), tc.method, "http://localhost:9900/", tc.header).Code; got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func newToken(t *testing.T) *guard.Token {
	t.Helper()
	token, err := guard.NewToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestShortTokens(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", guard.MinToken-1), " " + secret} {
		if _, err := guard.NewToken(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestBearer(t *testing.T) {
	h := newToken(t).Require(inside)
	for header, want := range map[string]int{"Bearer " + secret: 200, "Bearer " + secret + "x": 401, "Bearer ": 401, secret: 401, "": 401} {
		if got := ask(h, "GET", "/", map[string]string{"Authorization": header}).Code; got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	for _, forged := range []string{"", "9999999999.", "9999999999.00", "x.y", "9999999999"} {
		if got := ask(h, "GET", "/", map[string]string{"Cookie": "ninefold_session=" + forged}).Code; got != 401 {
			t.Errorf("cookie %q: %d", forged, got)
		}
	}
}

// A person is sent to the form, gives the token and comes back to where they wanted to go.
func TestLogin(t *testing.T) {
	token := newToken(t)
	mux := http.NewServeMux()
	mux.Handle("/login", token.Login())
	mux.Handle("/", token.Require(inside))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	at := func(resp *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Request.URL.RequestURI()
	}
	open := func() (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/console/?x=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		return at(client.Do(r))
	}
	post := func(token, next string) (int, string) {
		t.Helper()
		form := url.Values{"token": {token}, "next": {next}}.Encode()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/login", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return at(client.Do(r))
	}
	if code, uri := open(); code != 200 || uri != "/login?next=%2Fconsole%2F%3Fx%3D1" {
		t.Errorf("without a cookie: %d at %s, want the form", code, uri)
	}
	if code, _ := post("wrong", "/console/"); code != 401 {
		t.Errorf("a wrong token: %d", code)
	}
	if code, uri := post(secret, "/console/?x=1"); code != 200 || uri != "/console/?x=1" {
		t.Errorf("the token: %d at %s", code, uri)
	}
	if code, uri := open(); code != 200 || uri != "/console/?x=1" {
		t.Errorf("with the cookie: %d at %s", code, uri)
	}
	for _, elsewhere := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"} {
		if code, uri := post(secret, elsewhere); code != 200 || uri != "/" {
			t.Errorf("next %q leads to %d at %s", elsewhere, code, uri)
		}
	}
	for range 10 {
		post("guess", "/")
	}
	if code, _ := post("guess", "/"); code != http.StatusTooManyRequests {
		t.Errorf("after many guesses: %d, want 429", code)
	}
	if code, _ := post(secret, "/"); code != http.StatusOK {
		t.Errorf("the operator, from where somebody has guessed: %d, want to be let in", code)
	}
}

// A neighbour's wrong tokens are the neighbour's: another source may still mistype its own.
func TestGuessesAreCountedBySource(t *testing.T) {
	h := newToken(t).Login()
	try := func(from, token string) int {
		r := httptest.NewRequest(http.MethodPost, "http://localhost:9900/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for i := range 100 {
		try("[2001:db8::"+strconv.Itoa(i)+"]:7", "guess")
	}
	for _, tc := range []struct {
		from, token string
		want        int
	}{
		{"[2001:db8::ffff]:9", "guess", http.StatusTooManyRequests}, // the same network
		{"192.0.2.7:9", "mistyped", http.StatusUnauthorized},
		{"192.0.2.7:9", secret, http.StatusSeeOther},
		{"[2001:db8::1]:7", secret, http.StatusSeeOther},
	} {
		if got := try(tc.from, tc.token); got != tc.want {
			t.Errorf("%s with %q: %d, want %d", tc.from, tc.token, got, tc.want)
		}
	}
}
