package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/guard"
)

// AdminSettings says where a worker's own pages are.
type AdminSettings struct {
	AdminAddr  string `help:"Address of the worker's own pages, as 127.0.0.1:9090 or :9090; empty = none." placeholder:"HOST:PORT"`
	AdminToken string `help:"Opens the pages that show messages, 16 characters or more; empty = they are not there. Set it in the environment." json:"-" secret:""`
}

// mount is one place of the admin port.
type mount struct {
	pattern string // of http.ServeMux
	token   bool   // shows messages: opens with the token, and is not there at all where none is set
	handler http.Handler
}

// admin is a worker's own HTTP server, apart from everything that carries messages.
type admin struct {
	server  *http.Server
	addr    string // that it listens on
	ended   chan error
	closers []func() error // of what the pages need, when they have ended
}

// startAdmin serves mounts until Close. Without an address it serves nothing.
func startAdmin(s AdminSettings, log *slog.Logger, mounts []mount) (*admin, error) {
	handler, err := s.handler(mounts)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--admin-token: %w", err)}
	}
	if s.AdminAddr == "" {
		return &admin{}, nil
	}
	return serve("--admin-addr", s.AdminAddr, log, handler)
}

// serve answers on addr, which flag has set, until Close.
func serve(flag, addr string, log *slog.Logger, handler http.Handler) (*admin, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("%s %s: %w; %s", flag, addr, err, listenAdvice(err))}
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return &admin{server: server, addr: l.Addr().String(), ended: ended}, nil
}

// listenAdvice says what to do where nobody can be listened to.
func listenAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has this port: end it, or choose another port"
	case errors.Is(err, syscall.EACCES):
		return "this user may not have that port: choose one above 1023"
	}
	return "want an address of this machine as 127.0.0.1:9090 or :9090"
}

// handler puts the mounts together. A page behind the token needs one.
func (s AdminSettings) handler(mounts []mount) (http.Handler, error) {
	mux := http.NewServeMux()
	var token *guard.Token
	if s.AdminToken != "" {
		var err error
		if token, err = guard.NewToken(s.AdminToken); err != nil {
			return nil, err
		}
		mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		mux.Handle("/login", token.Login())
		mux.Handle("/login.css", token.Login())
	}
	for _, m := range mounts {
		switch {
		case !m.token:
			mux.Handle(m.pattern, m.handler)
		case token != nil:
			mux.Handle(m.pattern, guard.SameOrigin(token.Require(m.handler)))
		}
	}
	return mux, nil
}

// trusted reports whether a request carries the token. Without a token nobody is trusted.
func (s AdminSettings) trusted(r *http.Request) bool {
	token, err := guard.NewToken(s.AdminToken)
	return err == nil && token.Holds(r)
}

// closeWithin is how long an answer under way may take when the server ends; streams that follow a job would go on for ever.
const closeWithin = time.Second

// Close ends the server and what it is answering, then what its pages needed.
func (a *admin) Close() error {
	err := a.shutdown()
	for _, c := range a.closers {
		err = errors.Join(err, c())
	}
	return err
}

func (a *admin) shutdown() error {
	if a.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.server.Close()
	}
	if ended := <-a.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
