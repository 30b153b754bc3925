package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/ninefold/ninefold/queue"
)

// LogSettings says what is logged to standard error.
type LogSettings struct {
	Level  string `help:"debug, info, warn or error; auto is info for a worker and warn for everything else." default:"auto" enum:"auto,debug,info,warn,error"`
	Format string `help:"text or json." default:"text" enum:"text,json"`
}

func (s LogSettings) logger(a *app) *slog.Logger {
	level := a.logLevel
	if s.Level != "auto" {
		_ = level.UnmarshalText([]byte(s.Level)) // the enum has checked it
	}
	opts := &slog.HandlerOptions{Level: level}
	if s.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}

// EngineSettings says how media are processed on this machine.
type EngineSettings struct {
	Engine     string `help:"Path of ninefold-engine; empty = beside this program, then the PATH." placeholder:"FILE"`
	EngineWarm int    `help:"Engines started ahead of need." default:"2"`
	Parallel   int    `help:"Items of one message in work at the same time." default:"${cores}"`
	Scratch    string `help:"Directory for temporary files; swept of dead runs at start." default:"${scratch}" placeholder:"DIR"`
	Sandbox    string `help:"required = start no engine that the kernel cannot confine (Landlock, seccomp); best_effort = confine as far as it can and say what is missing, but with S3 not without Landlock; no_landlock = then, too." default:"best_effort" enum:"required,best_effort,no_landlock"`
	Profile    string `help:"JSON file that overrides the transcoding profile, key by key." placeholder:"FILE"`

	credentials bool // this process holds the keys of a store elsewhere
}

// ModelSettings says which classifier is used.
type ModelSettings struct {
	ModelsDir string `help:"Directory of converted models." default:"${models}" placeholder:"DIR"`
	Model     string `help:"Model to classify with; none = classify nothing: everything unscanned is withheld from those of 16, 17 and unknown age." default:"nsfwjs-mobilenet-v2" placeholder:"ID"`
	Policy    string `help:"YAML file of policy settings and thresholds; empty = what 'ninefold policy show' prints. Its timing: even has a worker announce every message when a screened one would be; plain, as soon as it is done, is for deployments that serve no minors." placeholder:"FILE"`
	// ScreenSecret is the deployment's, so that a sender cannot compute which frames are drawn.
	ScreenSecret string `help:"Secret that decides which frames of a video are judged beside those that must be: base64 of 32 or more random bytes, the same for all workers; empty = one that the store keeps. Set it in the environment." json:"-" secret:""`
	Onnx         string `name:"onnxruntime" help:"Path of libonnxruntime.so; empty = in models-dir, beside this program, then the loader's path." placeholder:"FILE"`
}

// AudienceSettings says who is asked about sender and recipients when a message is published.
type AudienceSettings struct {
	AudienceURL     string        `name:"audience-url" env:"NINEFOLD_AUDIENCE_URL" help:"Directory that is asked for ages, contacts and filters when a message is published; empty = the job's word counts. May be an internal address." placeholder:"URL"`
	AudienceSecret  string        `help:"Secret that questions are signed with (Standard Webhooks): whsec_ and base64; several, with spaces, while it is changed. Set it in the environment." json:"-" secret:""`
	AudienceTimeout time.Duration `help:"How long an answer may take; without one the job is tried again, and at last the stricter of two answers counts." default:"2s"`
}

// AuditSettings says how decisions are recorded.
type AuditSettings struct {
	AuditKey string `help:"Key that ids in audit records are hashed with: base64 of 32 or more random bytes, the same for all workers; empty = a new one at each start, and nobody can be found in the records. Set it in the environment." json:"-" secret:""`
}

// StoreSettings says where originals come from and where parts go.
type StoreSettings struct {
	Store       string `help:"Where parts are kept: a directory, or s3://BUCKET[/PREFIX]." default:"ninefold-store" placeholder:"DIR|s3://…"`
	Sources     string `help:"Where originals are read; empty = the same as store." placeholder:"DIR|s3://…"`
	S3Endpoint  string `name:"s3-endpoint" env:"NINEFOLD_S3_ENDPOINT" help:"Address of the S3 server, as http://host:port." placeholder:"URL"`
	S3Region    string `name:"s3-region" env:"NINEFOLD_S3_REGION" help:"Region of the buckets." default:"us-east-1"`
	S3AccessKey string `name:"s3-access-key" env:"NINEFOLD_S3_ACCESS_KEY" help:"Access key; empty = AWS_ACCESS_KEY_ID, the shared credentials file, then the machine's role."`
	S3SecretKey string `name:"s3-secret-key" env:"NINEFOLD_S3_SECRET_KEY" help:"Secret key; set it in the environment, not on the command line." json:"-" secret:""`
}

// remote reports whether this process holds the keys of a store elsewhere.
func (s StoreSettings) remote() bool {
	return strings.HasPrefix(s.Store, "s3://") || strings.HasPrefix(s.Sources, "s3://")
}

// QueueSettings says which Redis is used.
type QueueSettings struct {
	RedisURL  string        `name:"redis-url" help:"redis://, redis-sentinel:// (host:port,…/db?master=NAME) or redis-cluster:// (host:port,…); rediss… for TLS, with ?ca_file= for a private authority; unix:// for a socket." default:"redis://127.0.0.1:6379/0" secret:"" placeholder:"URL"`
	Retention time.Duration `help:"How long Redis keeps a finished job and its event: 5 KB for a small message, 25 KB for a full album, more with many recipients." default:"168h"`
}

// queueConfig is the queue's configuration with these settings in it.
func (s QueueSettings) queueConfig() queue.Config {
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Retention = s.RedisURL, s.Retention
	return cfg
}

// client connects with these settings, to a Redis that answers.
func (s QueueSettings) client(ctx context.Context) (*queue.Client, error) {
	client, err := queue.NewClient(s.queueConfig())
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if err := client.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (--redis-url, NINEFOLD_REDIS_URL)", err), client.Close())
	}
	return client, nil
}

// WorkSettings says how much a worker takes on and how often a job is tried.
type WorkSettings struct {
	ConcurrencyVoice int           `help:"Voice messages at the same time; 0 = none." default:"${cores}"`
	ConcurrencyPhoto int           `help:"Photo messages at the same time; 0 = none." default:"${cores}"`
	ConcurrencyVideo int           `help:"Messages with videos, or items of unknown kind, at the same time; 0 = none." default:"1"`
	ConcurrencyBulk  int           `help:"Reprocessed messages at the same time, at the lowest priority and only while nothing live runs here; 0 = none." default:"1"`
	Cores            int           `help:"Cores that photo and video messages may fill together; voice has as much again." default:"${cores}"`
	SenderWork       int64         `help:"What the videos of one sender may cost within an hour, in thousand millions of decoded pixels: 60 s of 4K 60 HDR are 50, a message may have 320; 0 = they are not counted." default:"12800"`
	Attempts         int           `help:"Tries of a job; the last one turns our own trouble into rejected parts." default:"10"`
	RetryFirst       time.Duration `help:"Pause before the second try; doubled for each further one." default:"2s"`
	RetryMost        time.Duration `help:"Longest pause between two tries." default:"5m"`
	Patience         time.Duration `help:"How long a job without expires_at waits for a store or a disk that is away." default:"24h"`
	Drain            time.Duration `help:"How long running jobs may go on after SIGTERM; then they are handed back." default:"30s"`
	EventSource      string        `help:"CloudEvents source of the published events." default:"/ninefold"`

	WebhookURL          string `name:"webhook-url" help:"Also post every event here, signed by Standard Webhooks." placeholder:"https://…"`
	WebhookSecret       string `name:"webhook-secret" help:"whsec_… secret, two while they are rotated; set it in the environment." json:"-" secret:"" placeholder:"SECRET"`
	WebhookAllowPrivate bool   `name:"webhook-allow-private" help:"Let the webhook be in a private network, and be http."`
}

func (w WorkSettings) into(cfg queue.Config) queue.Config {
	cfg.Concurrency.Voice, cfg.Concurrency.Photo, cfg.Concurrency.Video = w.ConcurrencyVoice, w.ConcurrencyPhoto, w.ConcurrencyVideo
	cfg.Concurrency.Bulk, cfg.Cores, cfg.Patience = w.ConcurrencyBulk, w.Cores, w.Patience
	cfg.SenderWork = w.SenderWork * 1e9
	cfg.Attempts, cfg.Drain, cfg.Source = w.Attempts, w.Drain, w.EventSource
	cfg.Webhook = queue.Webhook{URL: w.WebhookURL, Secrets: w.WebhookSecret, AllowPrivate: w.WebhookAllowPrivate}
	cfg.RetryFirst, cfg.RetryMost = w.RetryFirst, w.RetryMost
	return cfg
}

// serves refuses settings with which a worker would do nothing.
func (w WorkSettings) serves() error {
	if max(w.ConcurrencyVoice, w.ConcurrencyPhoto, w.ConcurrencyVideo, w.ConcurrencyBulk) > 0 {
		return nil
	}
	const advice = "--concurrency-voice, -photo, -video and -bulk are all 0: this worker would take no job; give one of them a number"
	return &exitError{exitUsage, errors.New(advice)}
}

// defaults fills ${…} in the declarations above.
func defaults() kong.Vars {
	return kong.Vars{
		"cores":   strconv.Itoa(runtime.GOMAXPROCS(0)),
		"scratch": filepath.Join(os.TempDir(), "ninefold"),
		"models":  beside("models"),
		"demo":    beside("demo"),
		"version": version,
	}
}

// beside returns a path in the directory of this program, which is where make build puts what it needs.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

func groups() []kong.Group {
	return []kong.Group{
		{Key: "log", Title: "Log:"},
		{Key: "select", Title: "Which messages:"},
		{Key: "engine", Title: "Engine:"},
		{Key: "models", Title: "Classifier and policy:"},
		{Key: "audience", Title: "Audience and audit:"},
		{Key: "store", Title: "Store:"},
		{Key: "queue", Title: "Queue:"},
		{Key: "admin", Title: "Worker's own pages:"},
	}
}
