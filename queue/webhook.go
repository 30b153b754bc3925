package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/webhooksign"
)

// Webhook is where every event is posted to, beside the parts queue. The zero Webhook is none.
type Webhook struct {
	URL          string
	Secrets      string // "whsec_…", several while they are rotated, separated by spaces
	AllowPrivate bool   // private, loopback and link-local targets, and http without TLS
}

// Validate names what cannot work.
func (w Webhook) Validate() error {
	if w.URL == "" {
		return nil
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
		return errors.New("webhook_url: want https://host/path without user and password")
	}
	if u.Scheme == "http" && !w.AllowPrivate {
		return errors.New("webhook_url: want https, or allow private targets for a receiver in your own network")
	}
	if _, err := webhooksign.New(w.Secrets); err != nil {
		return fmt.Errorf("webhook_secret: %w", err)
	}
	return nil
}

// webhookQueue carries the events to the webhook: what it holds survives restarts of workers and receivers.
const webhookQueue = "webhook"

// A delivery is tried for about three days: 5 s, 10 s, … 6 h.
const (
	webhookTries   = 24
	webhookFirst   = 5 * time.Second
	webhookMost    = 6 * time.Hour
	webhookTimeout = 20 * time.Second
)

// webhookType is the content type of a CloudEvent in structured mode.
const webhookType = "application/cloudevents+json; charset=utf-8"

// maxWebhookAnswer is how much of an answer is read, so that the connection may be used again, bytes.
const maxWebhookAnswer = 64 << 10

// deliverer posts events.
type deliverer struct {
	url    string
	signer *webhooksign.Signer
	client *http.Client
	dead   *quarantine
	log    *slog.Logger
	now    func() time.Time
}

var _ asynq.Handler = (*deliverer)(nil)

func newDeliverer(w Webhook, dead *quarantine, log *slog.Logger) (*deliverer, error) {
	signer, err := webhooksign.New(w.Secrets)
	if err != nil {
		return nil, err
	}
	return &deliverer{url: w.URL, signer: signer, client: webhookClient(w.AllowPrivate), dead: dead, log: log, now: time.Now}, nil
}

// webhookClient follows no redirect, asks no proxy, and looks at the address it is about to connect to: a name that resolves to a private
// address at the last moment gains nothing.
func webhookClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !allowPrivate {
		dialer.Control = publicOnly
	}
	return &http.Client{
		Timeout:       webhookTimeout * 3 / 4,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
			ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// errPrivate says that a webhook leads into a network it must not reach.
var errPrivate = errors.New("the webhook's address is private; allow private targets if the receiver is in your own network")

// publicOnly is a net.Dialer's Control: address is what the name resolved to.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errPrivate, address)
	}
	if !isPublic(at.Addr()) {
		return fmt.Errorf("%w: %s", errPrivate, at.Addr())
	}
	return nil
}

// special are the ranges of the IANA special-purpose registries that netip has no question for, and those that hide an IPv4 address.
func special() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range special() {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// ProcessTask posts one event. Anything but a 2xx is tried again; what is never taken goes into quarantine.
func (d *deliverer) ProcessTask(ctx context.Context, task *asynq.Task) error {
	id, _ := asynq.GetTaskID(ctx)
	err := d.post(ctx, id, task.Payload())
	if err == nil {
		return nil
	}
	retried, _ := asynq.GetRetryCount(ctx)
	d.log.Warn("webhook did not take an event", slog.String("event", id), slog.Int("attempt", retried+1), slog.Any("error", err))
	if most, ok := asynq.GetMaxRetry(ctx); ok && retried >= most {
		return errors.Join(err, d.dead.put(context.WithoutCancel(ctx), Quarantined{
			ID: id, Kind: QuarantinedWebhook, Code: pipeline.CodeInternal, Reason: err.Error(), Payload: document(task.Payload()),
		}))
	}
	return err
}

func (d *deliverer) post(ctx context.Context, id string, event []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(event))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", webhookType)
	req.Header.Set("User-Agent", "ninefold")
	if err := d.signer.Sign(req.Header, id, d.now(), event); err != nil {
		return err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxWebhookAnswer)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answer %s", resp.Status)
	}
	return nil
}

// webhookDelay doubles from webhookFirst to webhookMost, with jitter.
func webhookDelay(retried int, _ error, _ *asynq.Task) time.Duration {
	if retried >= 13 {
		return jitter(webhookMost)
	}
	return jitter(min(webhookMost, webhookFirst<<retried))
}

// redeliver puts a quarantined event back on the webhook's queue.
func (c *Client) redeliver(ctx context.Context, r Quarantined) error {
	event := []byte(r.Payload)
	if _, err := DecodeEvent(event); err != nil {
		return err
	}
	if err := c.look.DeleteTask(webhookQueue, r.ID); err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
		return fmt.Errorf("release: %w", err)
	}
	p := &publisher{tasks: c.tasks, retention: c.cfg.Retention}
	return p.enqueue(ctx, webhookQueue, r.ID, json.RawMessage(event), asynq.MaxRetry(webhookTries), asynq.Timeout(webhookTimeout))
}
