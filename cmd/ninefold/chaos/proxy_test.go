package chaos

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// redisProxy stands between a worker and Redis and breaks chosen exchanges.
type redisProxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	rules []*rule
	conns map[net.Conn]bool
}

// rule says what is done to a request that holds all of its words.
type rule struct {
	words  []string
	left   atomic.Int64         // how often it still applies
	done   atomic.Int64         // how often it has
	before func(request []byte) // called with the request before it is sent on; may hold it
	cut    bool                 // the connection ends before the request is sent on
	reply  func(reply []byte) bool
}

// matches reports whether the request is one of the rule's.
func (r *rule) matches(request []byte) bool {
	if r.left.Load() <= 0 {
		return false
	}
	for _, word := range r.words {
		if !bytes.Contains(request, []byte(word)) {
			return false
		}
	}
	return true
}

func newRedisProxy(t *testing.T, target string) *redisProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &redisProxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	go p.serve()
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.conns {
			c.Close()
		}
	})
	return p
}

func (p *redisProxy) url() string { return "redis://" + p.listener.Addr().String() + "/0" }

func (p *redisProxy) add(r *rule, times int) *rule {
	r.left.Store(int64(times))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
	return r
}

func (p *redisProxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(client)
	}
}

func (p *redisProxy) connect(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	end := sync.OnceFunc(func() {
		client.Close()
		server.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
	})
	var waits atomic.Pointer[rule] // whose reply is looked at next
	go func() {
		defer end()
		p.replies(server, client, &waits)
	}()
	defer end()
	buf := make([]byte, 256<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			for late := time.Now().Add(answerWithin); waits.Load() != nil && time.Now().Before(late); {
				<-time.After(time.Millisecond) // a client that has given up does not hear the reply; the rule does
			}
			return
		}
		if r := p.rule(buf[:n]); r != nil {
			if r.cut {
				r.left.Add(-1)
				r.done.Add(1)
				return
			}
			if r.before != nil {
				r.before(buf[:n])
			}
			waits.Store(r)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// answerWithin bounds the wait for a reply that a rule wants to see.
const answerWithin = 5 * time.Second

// replies passes replies on until a rule wants one swallowed, with the connection.
func (p *redisProxy) replies(server, client net.Conn, waits *atomic.Pointer[rule]) {
	buf := make([]byte, 256<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if r := waits.Swap(nil); r != nil && r.reply != nil && r.reply(buf[:n]) && r.left.Add(-1) >= 0 {
			r.done.Add(1)
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *redisProxy) rule(request []byte) *rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if r.matches(request) {
			return r
		}
	}
	return nil
}

// s3Proxy stands between a worker and the S3 server and breaks what passes.
type s3Proxy struct {
	addr   string
	broken atomic.Pointer[func(http.ResponseWriter, *http.Request) bool] // answers a request itself
	body   atomic.Pointer[func(*http.Response)]                          // changes an answer
	faults atomic.Int64
}

func newS3Proxy(t *testing.T, endpoint string) *s3Proxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &s3Proxy{addr: pipelinetest.FreeAddr(t)}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if change := p.body.Load(); change != nil {
				(*change)(r)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			p.faults.Add(1)
			panic(http.ErrAbortHandler)
		},
		ErrorLog: nil,
	}
	srv := &http.Server{Addr: p.addr, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken := p.broken.Load(); broken != nil && (*broken)(w, r) {
			p.faults.Add(1)
			return
		}
		reverse.ServeHTTP(w, r)
	})}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return p
}

func (p *s3Proxy) url() string { return "http://" + p.addr }

// unavailable answers 503 to everything.
func (p *s3Proxy) unavailable() {
	f := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	p.broken.Store(&f)
}

// cutEvery ends every n-th upload or download in its middle; flipEvery changes a byte of it.
func (p *s3Proxy) cutEvery(n int64)  { p.damageEvery(n, func(b *damaged) { b.cut = true }) }
func (p *s3Proxy) flipEvery(n int64) { p.damageEvery(n, func(b *damaged) { b.flip = true }) }

func (p *s3Proxy) damageEvery(n int64, how func(*damaged)) {
	var count atomic.Int64
	damage := func(body io.ReadCloser, size int64) io.ReadCloser {
		if body == nil || size < 100 || count.Add(1)%n != 0 {
			return body
		}
		p.faults.Add(1)
		d := &damaged{ReadCloser: body, at: size / 2}
		how(d)
		return d
	}
	request := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			r.Body = damage(r.Body, r.ContentLength)
		}
		return false
	}
	answer := func(r *http.Response) {
		if r.Request.Method == http.MethodGet && r.StatusCode == http.StatusOK {
			r.Body = damage(r.Body, r.ContentLength)
		}
	}
	p.broken.Store(&request)
	p.body.Store(&answer)
}

func (p *s3Proxy) heal() {
	p.broken.Store(nil)
	p.body.Store(nil)
}

// damaged is a body that ends, or changes, at a byte.
type damaged struct {
	io.ReadCloser
	at        int64
	cut, flip bool
}

func (d *damaged) Read(p []byte) (int, error) {
	if d.cut && d.at <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if d.cut && int64(len(p)) > d.at {
		p = p[:d.at]
	}
	n, err := d.ReadCloser.Read(p)
	if d.flip && d.at >= 0 && d.at < int64(n) {
		p[d.at] ^= 0x20
		d.at = -1
	}
	d.at -= int64(n)
	return n, err
}

// forAWhile is how long a server is away.
const forAWhile = 10 * time.Second
