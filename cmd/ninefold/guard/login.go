package guard

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed login.html login.css
var loginFiles embed.FS

var loginPage = template.Must(template.ParseFS(loginFiles, "login.html"))

// maxForm bounds the form's body, bytes.
const maxForm = 4 << 10

// Login is the form that gives a cookie for the token. It belongs at /login and /login.css.
func (t *Token) Login() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, loginFiles, "login.css") })
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		showForm(w, http.StatusOK, r.URL.Query().Get("next"), "")
	})
	tries := newTries()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { t.login(w, r, tries) })
	return Headers(SameOrigin(mux))
}

func (t *Token) login(w http.ResponseWriter, r *http.Request, tries *tries) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	next := r.PostFormValue("next")
	switch right := t.is(r.PostFormValue("token")); {
	case right: // whoever has it is let in, whatever others have tried
	case !tries.allow(r.RemoteAddr):
		showForm(w, http.StatusTooManyRequests, next, "Too many tries. Wait a minute.")
		return
	default:
		showForm(w, http.StatusUnauthorized, next, "That is not the token.")
		return
	}
	http.SetCookie(w, t.newCookie(r))
	http.Redirect(w, r, local(next), http.StatusSeeOther)
}

func showForm(w http.ResponseWriter, status int, next, wrong string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = loginPage.Execute(w, map[string]string{"Next": local(next), "Wrong": wrong}) // the reader has gone
}

// local keeps a redirect on this server: a path, and nothing that a browser reads as another host.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\n\r\t") {
		return "/"
	}
	return next
}
