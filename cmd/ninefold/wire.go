package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/onnx"
	"github.com/ninefold/ninefold/pipeline"
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

// openService is the one place that knows every implementation.
func openService(a *app, e EngineSettings, m ModelSettings, sources pipeline.SourceStore, store pipeline.Store) (*service, error) {
	log := a.log.logger(a)
	if swept, err := pipeline.Sweep(e.Scratch); err != nil || swept > 0 {
		log.Info("scratch swept", slog.Int("directories", swept), slog.Any("error", err))
	}
	profile, err := e.profile()
	if err != nil {
		return nil, err
	}
	s := &service{}
	moderator, side, err := s.moderator(a, m)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if side > 0 {
		profile.SampleSide = 2 * side
	}
	if s.engines, err = e.pool(log, profile); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.closers = append(s.closers, s.engines.Close)
	if s.policy, err = moderation.NewPolicy(moderation.DefaultConfig()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	settings := e.pipeline(profile)
	s.caps = settings.MaxBytes
	s.pipeline, err = pipeline.New(settings, pipeline.Deps{
		Sources: sources, Store: store, Processors: s.engines, Moderator: moderator, Policy: s.policy, Log: log, Now: time.Now,
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// moderator opens the classifier, or the moderator that knows nothing. side is the model's input side in pixels.
func (s *service) moderator(a *app, m ModelSettings) (pipeline.Moderator, int, error) {
	if m.Model == "none" {
		return moderation.NewUnavailable(errors.New("no classifier is configured")), 0, nil
	}
	c, err := m.openModel(a)
	if err != nil {
		return nil, 0, err
	}
	s.closers = append(s.closers, c.Close)
	screener, err := moderation.NewScreener(c, moderation.DefaultScreenConfig())
	return screener, c.Model().Input.Size, err
}

func (m ModelSettings) openModel(a *app) (*onnx.Classifier, error) {
	c, err := onnx.Open(a.ctx, onnx.Options{ModelDir: filepath.Join(m.ModelsDir, m.Model), Library: m.Onnx})
	if err != nil {
		return nil, fmt.Errorf("classifier: %w; fetch it with \"ninefold models fetch\", or set --models-dir, --model or --onnxruntime", err)
	}
	return c, nil
}

func (e EngineSettings) pool(log *slog.Logger, profile transcode.Profile) (*sandbox.Pool, error) {
	cfg := sandbox.DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Parallel, cfg.Log = e.Engine, e.EngineWarm, e.Parallel, log
	cfg.Scratch, cfg.Sandbox = e.Scratch, sandbox.Mode(e.Sandbox)
	if err := errors.Join(cfg.Validate(), e.pipeline(profile).Validate()); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return sandbox.NewPool(cfg, profile)
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
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil {
			return p, &exitError{exitUsage, fmt.Errorf("--profile %s: %w", e.Profile, err)}
		}
	}
	if err := p.Validate(); err != nil {
		return p, &exitError{exitUsage, err}
	}
	return p, nil
}

// openStores returns the store of parts and the store of originals.
func (s StoreSettings) openStores() (store, sources pipeline.Store, err error) {
	if store, err = s.at(s.Store); err != nil {
		return nil, nil, err
	}
	if s.Sources == "" || s.Sources == s.Store {
		return store, store, nil
	}
	from, err := s.at(s.Sources)
	return store, from, err
}

func (s StoreSettings) at(where string) (pipeline.Store, error) {
	if !strings.HasPrefix(where, "s3://") {
		return filestore.Open(where)
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" {
		return nil, &exitError{exitUsage, fmt.Errorf("store %q: want s3://BUCKET or s3://BUCKET/PREFIX", where)}
	}
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Region, cfg.AccessKey, cfg.SecretKey = s.S3Endpoint, s.S3Region, s.S3AccessKey, s.S3SecretKey
	cfg.Bucket = u.Host
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		cfg.Prefix = prefix + "/"
	}
	return s3store.New(cfg)
}
