package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MinToken is the shortest token, in bytes: 16 random characters are beyond guessing at any rate that a port answers.
const MinToken = 16

// session is how long a login lasts.
const session = 12 * time.Hour

// cookieName is the cookie's name; it holds no token.
const cookieName = "ninefold_session"

// Token opens what it guards to those who have it: as a bearer, or by a cookie that the login form gives for it.
type Token struct {
	digest [sha256.Size]byte // of the token: comparing digests takes the same time for every length
	key    []byte            // signs the cookie: it ends with the token
	now    func() time.Time
}

// NewToken returns a Token, or says what is wrong with it.
func NewToken(token string) (*Token, error) {
	if len(token) < MinToken || strings.TrimSpace(token) != token {
		return nil, fmt.Errorf("the token needs at least %d characters, and no blank at its ends; make one with: openssl rand -hex 16", MinToken)
	}
	key := sha256.Sum256([]byte("ninefold session\x00" + token))
	return &Token{digest: sha256.Sum256([]byte(token)), key: key[:], now: time.Now}, nil
}

// Holds reports whether a request carries the token, as a bearer or by the cookie.
func (t *Token) Holds(r *http.Request) bool { return t.bearer(r) || t.cookie(r) }

// Require lets only those in who have the token. Others get the login form, or 401 where no person is looking.
func (t *Token) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case t.Holds(r):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
			http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="ninefold"`)
			http.Error(w, "give the token as a bearer, or log in at /login", http.StatusUnauthorized)
		}
	})
}

func (t *Token) is(token string) bool {
	got := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], t.digest[:]) == 1
}

func (t *Token) bearer(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && t.is(token)
}

// cookie takes a value of ours that has not expired: its end in seconds, a dot, and the signature of that.
func (t *Token) cookie(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	end, signature, _ := strings.Cut(c.Value, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	return err == nil && hmac.Equal([]byte(signature), []byte(t.sign(end))) && t.now().Before(time.Unix(seconds, 0))
}

func (t *Token) sign(end string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(end))
	return hex.EncodeToString(mac.Sum(nil))
}

func (t *Token) newCookie(r *http.Request) *http.Cookie {
	end := strconv.FormatInt(t.now().Add(session).Unix(), 10)
	return &http.Cookie{
		Name: cookieName, Value: end + "." + t.sign(end), Path: "/", MaxAge: int(session.Seconds()), HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
