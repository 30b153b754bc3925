package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/models"
	"github.com/ninefold/ninefold/moderation/onnx"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/audience"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// service is the whole engine of the run, wired: what process, worker, demo and doctor share.
type service struct {
	pipeline *pipeline.Pipeline
	engines  *sandbox.Pool
	policy   *moderation.Policy
	model    pipeline.ModelRef // zero without a classifier
	caps     pipeline.ByteCaps // of an upload
	closers  []func() error
}

// Close ends what openService started, last first.
func (s *service) Close() error {
	var all error
	for i := len(s.closers) - 1; i >= 0; i-- {
		all = errors.Join(all, s.closers[i]())
	}
	return all
}

// option changes what a service is wired with, for the commands that need more than process does.
type option func(*pipeline.Deps) error

// openService is the one place that knows every implementation.
func openService(a *app, e EngineSettings, m ModelSettings, sources pipeline.SourceStore, store pipeline.Store, more ...option) (*service, error) {
	log := a.log.logger(a)
	if err := e.scratch(); err != nil {
		return nil, err
	}
	if swept, err := pipeline.Sweep(e.Scratch); err != nil {
		log.Warn("scratch not swept", slog.Any("error", err))
	} else if swept > 0 {
		log.Info("scratch swept", slog.Int("directories", swept))
	}
	profile, err := e.profile()
	if err != nil {
		return nil, err
	}
	policy, err := m.policy()
	if err != nil {
		return nil, err
	}
	deps := pipeline.Deps{Sources: sources, Store: store, Policy: policy, Log: log, Now: time.Now}
	for _, change := range more {
		if err := change(&deps); err != nil {
			return nil, err
		}
	}
	s := &service{policy: policy}
	if deps.Moderator, err = s.moderator(a, m, policy.Config()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.model = deps.Moderator.Model()
	if s.engines, err = e.pool(log, profile, a.engines); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.closers = append(s.closers, s.engines.Close)
	settings := e.pipeline(profile)
	s.caps, deps.Processors = settings.MaxBytes, s.engines
	if s.pipeline, err = pipeline.New(settings, deps); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// moderator opens the classifier, or the moderator that knows nothing.
func (s *service) moderator(a *app, m ModelSettings, policy moderation.Config) (pipeline.Moderator, error) {
	if m.Model == "none" {
		return moderation.Off{}, nil
	}
	c, err := m.openModel(a)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, c.Close)
	return newScreener(c, policy, false)
}

// newScreener holds scores against the model's bounds, or the policy's where it sets some.
// newScreener holds scores against the policy's bounds. reference has pictures reduced as the model's reference does.
func newScreener(c moderation.Classifier, policy moderation.Config, reference bool) (*moderation.Screener, error) {
	config := moderation.DefaultScreenConfig()
	config.Thresholds, config.Reference = policy.Thresholds, reference
	return moderation.NewScreener(c, config)
}

// paces are those of the classifier as it is measured now, for as long as no message was.
func (s *service) paces(ctx context.Context) (map[pipeline.Step]time.Duration, error) {
	screener, ok := s.pipeline.Moderator.(*moderation.Screener)
	if !ok {
		return nil, nil
	}
	each, err := screener.Pace(ctx)
	if err != nil {
		return nil, fmt.Errorf("classifier: %w", err)
	}
	return map[pipeline.Step]time.Duration{pipeline.StepJudgePhoto: each, pipeline.StepJudgeVideo: each}, nil
}

// policy reads the file of settings, or takes the defaults.
func (m ModelSettings) policy() (*moderation.Policy, error) {
	if m.Policy == "" {
		return moderation.NewPolicy(moderation.DefaultConfig())
	}
	return readPolicy(m.Policy)
}

// drawBy has frames drawn at random by the operator's secret, or by one that the store keeps for all its workers.
func (m ModelSettings) drawBy(store pipeline.Store, dry bool) option {
	return func(deps *pipeline.Deps) error {
		if m.ScreenSecret == "" {
			if !dry { // a dry run leaves the store as it is, and draws other frames
				deps.Secret = func(ctx context.Context) ([]byte, error) { return pipeline.ScreenSecret(ctx, store) }
			}
			return nil
		}
		secret, err := base64.StdEncoding.DecodeString(m.ScreenSecret)
		if err != nil || len(secret) < pipeline.ScreenSecretBytes {
			const advice = "screen-secret: want base64 of at least %d random bytes; make one with: head -c 32 /dev/urandom | base64"
			return &exitError{exitUsage, fmt.Errorf(advice, pipeline.ScreenSecretBytes)}
		}
		deps.Secret = func(context.Context) ([]byte, error) { return secret, nil }
		return nil
	}
}

// readPolicy reads a YAML file, of which JSON is a part.
func readPolicy(path string) (*moderation.Policy, error) {
	config, err := readPolicyConfig(path)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty; begin with what 'ninefold policy show' prints, or leave --policy out for the defaults")
	}
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("policy %s: %w", path, err)}
	}
	return moderation.NewPolicy(config)
}

func readPolicyConfig(path string) (moderation.Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return moderation.Config{}, err
	}
	data, err := jsonOfYAML(text)
	if err != nil {
		return moderation.Config{}, err
	}
	return moderation.DecodeConfig(data)
}

// key has the ids in audit records hashed with the operator's key, where one is set.
func (s AuditSettings) key(deps *pipeline.Deps) error {
	if s.AuditKey == "" {
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(s.AuditKey)
	if err != nil || len(key) < pipeline.MinAuditKey {
		const advice = "audit-key: want base64 of at least %d random bytes; make one with: head -c 32 /dev/urandom | base64"
		return &exitError{exitUsage, fmt.Errorf(advice, pipeline.MinAuditKey)}
	}
	deps.AuditKey = key
	return nil
}

// directory has the audience read again from an operator's directory, where one is set.
func (s AudienceSettings) directory(deps *pipeline.Deps) error {
	if s.AudienceURL == "" {
		return nil
	}
	d, err := s.open()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	deps.Audience = d
	return nil
}

func (s AudienceSettings) open() (*audience.Directory, error) {
	return audience.New(audience.Config{URL: s.AudienceURL, Secret: s.AudienceSecret, Timeout: s.AudienceTimeout})
}

func (m ModelSettings) openModel(a *app) (*onnx.Classifier, error) {
	if known := models.Installed(m.ModelsDir); len(known) > 0 && !slices.Contains(known, m.Model) {
		return nil, &exitError{exitUsage, fmt.Errorf("--model %s is not in %s; there are: %s, none", m.Model, m.ModelsDir, strings.Join(known, ", "))}
	}
	c, err := onnx.Open(a.ctx, onnx.Options{ModelDir: filepath.Join(m.ModelsDir, m.Model), Library: m.Onnx})
	if err != nil {
		return nil, fmt.Errorf("classifier: %w; fetch it with \"ninefold models fetch\", or set --models-dir, --model or --onnxruntime", err)
	}
	return c, nil
}

func (e EngineSettings) pool(log *slog.Logger, profile transcode.Profile, watcher sandbox.Observer) (*sandbox.Pool, error) {
	cfg := sandbox.DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Parallel, cfg.Log = e.Engine, e.EngineWarm, e.Parallel, log
	cfg.Scratch, cfg.Sandbox, cfg.Observer, cfg.Credentials = e.Scratch, sandbox.Mode(e.Sandbox), watcher, e.credentials
	_, missing := sandbox.FindEngine(e.Engine)
	if err := errors.Join(cfg.Validate(), e.pipeline(profile).Validate(), missing, e.scratch()); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return sandbox.NewPool(cfg, profile)
}

// scratch proves that messages can have a directory of their own.
func (e EngineSettings) scratch() error {
	ws, err := pipeline.NewWorkspace(e.Scratch)
	if err == nil {
		err = ws.Close()
	}
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--scratch %s: %w; name a directory that this user may write to", e.Scratch, pipeline.AsError(err).Err)}
	}
	return nil
}

func (e EngineSettings) pipeline(p transcode.Profile) pipeline.Config {
	return pipeline.Config{
		Scratch: e.Scratch, ItemsAtOnce: e.Parallel, Version: version, Profile: p.Digest(), Engine: transcode.EngineVersion,
		MaxBytes: pipeline.ByteCaps{Voice: p.Voice.MaxBytes, Photo: p.Photo.MaxBytes, Video: p.Video.MaxBytes},
	}
}

// profile reads the file of overrides onto the defaults; a key that is no setting is a mistake.
func (e EngineSettings) profile() (transcode.Profile, error) {
	p := transcode.DefaultProfile()
	if e.Profile != "" {
		data, err := os.ReadFile(e.Profile)
		if err != nil {
			return p, &exitError{exitUsage, fmt.Errorf("--profile: %w", err)}
		}
		defaults := p.Photo
		p.Photo.MaxJPEGPixels = 0
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil {
			return p, &exitError{exitUsage, fmt.Errorf("--profile %s: %w", e.Profile, err)}
		}
		p.Photo = p.Photo.WithJPEGPixels(defaults)
	}
	if err := p.Validate(); err != nil {
		return p, &exitError{exitUsage, err}
	}
	return p, nil
}

// openStores returns the store of parts and the store of originals.
func (s StoreSettings) openStores() (store, sources pipeline.Store, err error) {
	if store, err = s.at("--store", s.Store); err != nil {
		return nil, nil, err
	}
	sources, err = s.originals(store)
	return store, sources, err
}

// originals opens the store of originals beside the open store of parts, which it may be.
func (s StoreSettings) originals(store pipeline.Store) (pipeline.Store, error) {
	if s.Sources == "" || s.Sources == s.Store {
		return store, nil
	}
	return s.at("--sources", s.Sources)
}

// at opens what a flag names.
func (s StoreSettings) at(flag, where string) (pipeline.Store, error) {
	if !strings.HasPrefix(where, "s3://") {
		if schemePattern.MatchString(where) { // a mistyped bucket must not become a directory that nobody else reads
			return nil, &exitError{exitUsage, fmt.Errorf("%s %q: want a directory or s3://BUCKET/PREFIX; a directory of this name is ./%s", flag, where, where)}
		}
		return openDir(flag, where)
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" {
		return nil, &exitError{exitUsage, fmt.Errorf("%s %q: want s3://BUCKET or s3://BUCKET/PREFIX", flag, where)}
	}
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Region, cfg.AccessKey, cfg.SecretKey = s.S3Endpoint, s.S3Region, s.S3AccessKey, s.S3SecretKey
	cfg.Bucket = u.Host
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		cfg.Prefix = prefix + "/"
	}
	store, err := s3store.New(cfg)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("%s %s and the --s3 settings: %w", flag, where, err)}
	}
	return store, nil
}

// schemePattern is how a URL begins, and what looks like one.
var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// openDir opens the directory store that a flag names.
func openDir(flag, dir string) (*filestore.Store, error) {
	store, err := filestore.Open(dir)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("%s %s: %w; name a directory that this user may write to", flag, dir, err)}
	}
	return store, nil
}
