package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// The schemes of Config.RedisURL; each but unix has a form with TLS, "rediss…".
//
//	redis://[user:password@]host:port[/db]                              one server
//	redis-sentinel://[user:password@]host:port,host:port[/db]?master=M  the server that the sentinels call M
//	redis-cluster://[user:password@]host:port,host:port                 a cluster, of which some nodes are named
//	unix:///path/redis.sock?db=N
//
// With TLS: ?ca_file=PEM for a private authority, ?cert_file=PEM&key_file=PEM for a certificate of our own. Sentinels that ask for
// credentials of their own: ?sentinel_username=…&sentinel_password=….
const (
	schemeSentinel = "redis-sentinel"
	schemeCluster  = "redis-cluster"
)

var errRedisURL = errors.New("want redis://[user:password@]host:port[/db], rediss://… for TLS, redis-sentinel://host:port,…/db?master=NAME, " +
	"redis-cluster://host:port,… or unix:///path") // the URL may hold a password: it is not repeated

// target is where RedisURL leads: one of the three is set.
type target struct {
	single   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
}

func (c Config) redisTarget() (target, error) {
	first, others := splitHosts(c.RedisURL)
	u, err := url.Parse(first)
	if err != nil {
		return target{}, errRedisURL
	}
	query := u.Query()
	secure, err := tlsConfig(u, query)
	if err != nil {
		return target{}, err
	}
	switch strings.Replace(u.Scheme, "rediss", "redis", 1) {
	case schemeSentinel:
		return sentinelTarget(u, query, others, secure)
	case schemeCluster:
		return clusterTarget(u, query, others, secure)
	}
	if len(others) > 0 {
		return target{}, errors.New("several hosts: say redis-sentinel:// or redis-cluster://")
	}
	u.RawQuery = query.Encode()
	opts, err := redis.ParseURL(u.String())
	if err != nil {
		return target{}, errRedisURL
	}
	if secure != nil {
		secure.ServerName = opts.TLSConfig.ServerName
		opts.TLSConfig = secure
	}
	opts.ContextTimeoutEnabled = true
	return target{single: opts}, nil
}

// splitHosts returns the URL with its first host only, and the other hosts: net/url takes one.
func splitHosts(raw string) (first string, others []string) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw, nil
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@") + 1
	hosts := strings.Split(rest[at:end], ",")
	return scheme + "://" + rest[:at] + hosts[0] + rest[end:], hosts[1:]
}

// take returns a parameter and removes it: what is left is go-redis's.
func take(query url.Values, name string) string {
	value := query.Get(name)
	query.Del(name)
	return value
}

func tlsConfig(u *url.URL, query url.Values) (*tls.Config, error) {
	ca, cert, key := take(query, "ca_file"), take(query, "cert_file"), take(query, "key_file")
	if !strings.HasPrefix(u.Scheme, "rediss") {
		if ca+cert+key != "" {
			return nil, errors.New("ca_file, cert_file and key_file belong to TLS: say rediss://")
		}
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if cfg.RootCAs = x509.NewCertPool(); !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca_file: holds no PEM certificate")
		}
	}
	if cert+key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert_file, key_file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func sentinelTarget(u *url.URL, query url.Values, others []string, secure *tls.Config) (target, error) {
	opts := &redis.FailoverOptions{
		MasterName: take(query, "master"), SentinelAddrs: append([]string{u.Host}, others...),
		SentinelUsername: take(query, "sentinel_username"), SentinelPassword: take(query, "sentinel_password"),
		TLSConfig: secure, ContextTimeoutEnabled: true,
	}
	opts.Username, opts.Password = userOf(u)
	if path := strings.Trim(u.Path, "/"); path != "" {
		if _, err := fmt.Sscanf(path+"\n", "%d\n", &opts.DB); err != nil {
			return target{}, errRedisURL
		}
	}
	if opts.MasterName == "" || u.Host == "" || len(query) > 0 {
		return target{}, errRedisURL
	}
	return target{sentinel: opts}, nil
}

func clusterTarget(u *url.URL, query url.Values, others []string, secure *tls.Config) (target, error) {
	opts := &redis.ClusterOptions{Addrs: append([]string{u.Host}, others...), TLSConfig: secure, ContextTimeoutEnabled: true}
	opts.Username, opts.Password = userOf(u)
	if path := strings.Trim(u.Path, "/"); (path != "" && path != "0") || u.Host == "" || len(query) > 0 {
		return target{}, errRedisURL // a cluster has one database
	}
	return target{cluster: opts}, nil
}

func userOf(u *url.URL) (name, password string) {
	password, _ = u.User.Password()
	return u.User.Username(), password
}

// connect returns a client; nothing is sent before its first use.
func connect(cfg Config) (redis.UniversalClient, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t, err := cfg.redisTarget()
	if err != nil {
		return nil, err
	}
	silence()
	switch {
	case t.sentinel != nil:
		return redis.NewFailoverClient(t.sentinel), nil
	case t.cluster != nil:
		return redis.NewClusterClient(t.cluster), nil
	}
	return redis.NewClient(t.single), nil
}

// silence keeps go-redis from writing to standard error by itself: what it has to say is in the errors it returns.
var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
