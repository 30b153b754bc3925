package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/health"
)

// readyCmd asks a worker on this machine whether it is ready: what a container's health check runs where there is no curl.
type readyCmd struct {
	AdminAddr  string        `env:"NINEFOLD_ADMIN_ADDR" help:"Where the worker's own pages are." default:":9090" placeholder:"HOST:PORT"`
	AdminToken string        `env:"NINEFOLD_ADMIN_TOKEN" help:"The worker's token: with it the answer says why. Set it in the environment." json:"-" secret:""`
	Timeout    time.Duration `help:"How long the answer may take." default:"5s"`
	JSON       bool          `help:"Print the worker's answer as JSON."`
}

func (c *readyCmd) Run(a *app) error {
	host, port, err := net.SplitHostPort(c.AdminAddr)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--admin-addr: %w", err)}
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	answer, err := askReady(ctx, "http://"+net.JoinHostPort(host, port)+"/readyz", c.AdminToken)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(a.stdout, answer)
	} else {
		for _, r := range answer.Checks {
			if err = (diagnosis{Name: r.Name, OK: r.OK, Detail: r.Detail}).write(a.stdout); err != nil {
				break
			}
		}
	}
	if err == nil && !answer.Ready {
		return &exitError{code: exitTrouble}
	}
	return err
}

func askReady(ctx context.Context, url, token string) (health.Answer, error) {
	var answer health.Answer
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer, fmt.Errorf("%w; is a worker there, with --admin-addr?", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("%s: %s is no worker's answer", url, resp.Status)
	}
	return answer, nil
}
