// Command upload-example is an upload API to copy: it takes a message and its files, puts them into S3 as they come, queues the job, and
// gives each person the parts that are theirs under addresses that expire. It links no media library and builds with CGO_ENABLED=0.
//
//	upload-example -addr 127.0.0.1:8080 -redis redis://127.0.0.1:6379/0 -s3 http://127.0.0.1:7070 -people people.json
//	curl -H 'X-User: u_1' -F 'message={"id":"m1","to":["u_2"],"caption":"hi","files":[{"kind":"photo"}]}' -F file=@photo.jpg :8080/messages
//	curl -H 'X-User: u_2' :8080/messages/u_1:m1
//
// What to change first: who asks is believed on the word of a header here (user in api.go), and people come from a file (people.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/queue"
)

// settings are the command line. Keys come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or the machine's role.
type settings struct {
	addr, redis, s3, uploads, parts, people string
}

func main() {
	var s settings
	flag.StringVar(&s.addr, "addr", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&s.redis, "redis", "redis://127.0.0.1:6379/0", "the workers' Redis")
	flag.StringVar(&s.s3, "s3", "http://127.0.0.1:7070", "the S3 server, under the address that clients reach it by")
	flag.StringVar(&s.uploads, "uploads", "uploads", "bucket of originals: the workers' --sources")
	flag.StringVar(&s.parts, "parts", "parts", "bucket of parts: the workers' --store")
	flag.StringVar(&s.people, "people", "people.json", "who is who, in place of your database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	stop()
	if err != nil {
		slog.Error("upload-example", slog.Any("error", err))
		os.Exit(1)
	}
}

// run serves the API and takes the events until ctx ends.
func run(ctx context.Context, s settings, log *slog.Logger) error {
	a, err := newAPI(s, log)
	if err != nil {
		return err
	}
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Log = s.redis, log
	if a.jobs, err = queue.NewClient(cfg); err != nil {
		return err
	}
	defer a.jobs.Close()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	log.Info("listening", slog.String("addr", l.Addr().String()))
	return serve(ctx, l, a, cfg)
}

func newAPI(s settings, log *slog.Logger) (*api, error) {
	people, err := readPeople(s.people)
	if err != nil {
		return nil, err
	}
	policy, err := moderation.NewPolicy(moderation.DefaultConfig()) // or what moderation.DecodeConfig reads from the workers' --policy
	if err != nil {
		return nil, err
	}
	a := &api{people: people, policy: policy, log: log}
	if a.uploads, err = bucket(s, s.uploads); err != nil {
		return nil, err
	}
	a.parts, err = bucket(s, s.parts)
	return a, err
}

// serve answers requests and takes events until ctx ends or one of the two does.
func serve(ctx context.Context, l net.Listener, a *api, cfg queue.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 2)
	go func() {
		defer cancel()
		ended <- queue.Subscribe(ctx, cfg, a.deliver)
	}()
	go func() {
		defer cancel()
		ended <- server.Serve(l)
	}()
	<-ctx.Done()
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	err := server.Shutdown(drain)
	for range 2 {
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func bucket(s settings, name string) (*s3store.Store, error) {
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Bucket = s.s3, name
	store, err := s3store.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return store, nil
}
