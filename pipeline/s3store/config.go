package s3store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/ninefold/ninefold/pipeline"
)

// Config says where the bucket is and how to get at it.
type Config struct {
	Endpoint string // "https://host[:port]" or "http://host[:port]"; https is TLS
	Region   string // "us-east-1" unless the provider says otherwise
	Bucket   string
	Prefix   string // before every key, "" or ending in a slash: several stores may share a bucket
	CAFile   string // PEM file of a private certificate authority, "" = the system's

	// Credentials: both keys, or neither for AWS_*, MINIO_* in the environment, then a credentials file, then the
	// machine's or pod's role.
	AccessKey       string
	SecretKey       string
	SessionToken    string
	CredentialsFile string // "" = ~/.aws/credentials
	Profile         string // of the credentials file, "" = default

	Patience time.Duration // longest silence of the server within one call
	Tries    int           // of one request, the first included
	Scratch  string        // directory for content that cannot be read twice, "" = the system's
}

// DefaultConfig returns all but the endpoint, the bucket and the credentials.
func DefaultConfig() Config {
	return Config{Region: "us-east-1", Patience: 30 * time.Second, Tries: 4}
}

// bucketPattern is S3's rule for names, dots left out: they break the certificate of a bucket's own host name.
var bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9\-]{1,61}[a-z0-9]$`)

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	var wrong []error
	complain := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	_, err := c.endpoint()
	complain(err != nil, "endpoint: %v", err)
	complain(!bucketPattern.MatchString(c.Bucket), "bucket: want 3 to 63 of a-z 0-9 and -, got %q", c.Bucket)
	complain(c.Region == "", "region: want the bucket's, us-east-1 where the provider has none")
	complain(c.Prefix != "" && (!strings.HasSuffix(c.Prefix, "/") || pipeline.CheckPrefix(c.Prefix) != nil),
		"prefix: want path segments with a slash at the end, got %q", c.Prefix)
	complain((c.AccessKey == "") != (c.SecretKey == ""), "access_key, secret_key: set both, or neither to use the environment, file or role")
	complain(c.Patience < time.Second || c.Patience > 10*time.Minute, "patience: want 1s to 10m, got %v", c.Patience)
	complain(c.Tries < 1 || c.Tries > 10, "tries: want 1 to 10, got %d", c.Tries)
	return errors.Join(wrong...)
}

func (c Config) endpoint() (*url.URL, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return nil, errors.New("want http://host:port or https://host:port, without a path or user")
	}
	return u, nil
}

func (c Config) client() (*minio.Core, error) {
	u, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	transport, err := c.transport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds: c.credentials(), Secure: u.Scheme == "https", Region: c.Region, MaxRetries: c.Tries, Transport: transport,
	})
}

func (c Config) transport(secure bool) (*http.Transport, error) {
	transport, err := minio.DefaultTransport(secure)
	if err != nil || c.CAFile == "" {
		return transport, err
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file: holds no PEM certificate")
	}
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return transport, nil
}

func (c Config) credentials() *credentials.Credentials {
	if c.AccessKey != "" {
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.EnvMinio{},
		&credentials.FileAWSCredentials{Filename: c.CredentialsFile, Profile: c.Profile},
		&credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}},
	})
}
