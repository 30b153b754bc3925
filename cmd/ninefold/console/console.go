// Package console is the web console: a person sends a message, watches it being processed and sees it as each recipient would. On a
// production worker it is read-only.
//
// The pages are plain ES modules and style sheets in web/, embedded in the binary. They use relative addresses only: the console may be
// mounted anywhere.
package console

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/ninefold/ninefold/cmd/ninefold/guard"
	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

//go:embed web
var web embed.FS

// Jobs is what the console needs of the queue; *queue.Client is one.
type Jobs interface {
	Submit(ctx context.Context, job pipeline.Job) (queue.Receipt, error)
	Status(ctx context.Context, jobID string) (queue.Status, error)
	Wait(ctx context.Context, jobID string, fn func(queue.Status)) (queue.Status, error)
	Recent(ctx context.Context, n int) ([]queue.Summary, error)
	Job(ctx context.Context, jobID string) (pipeline.Job, error)
}

var _ Jobs = (*queue.Client)(nil)

// Config is what a console works with.
type Config struct {
	Jobs    Jobs
	Store   pipeline.Store     // of renditions and manifests
	Uploads pipeline.Store     // where originals are put; nil = nothing can be sent
	Caps    pipeline.ByteCaps  // of an upload, by what it is called
	Policy  *moderation.Policy // decides at every look, and tells which row did
	// Audience tells who the people are when somebody looks; nil = what the kept job says.
	Audience pipeline.AudienceSource
	Wanted   pipeline.Screenings // asked where facts are missing; nil = nobody
	NewID    func() string       // 26 digits and capital letters, never twice
	About    About
	Log      *slog.Logger
}

// About is what the page says of this installation.
type About struct {
	Version string `json:"version"`
	Model   string `json:"model"`
	Note    string `json:"note"` // one line for people, such as what is not kept
}

// console answers the page's requests.
type console struct {
	Config
}

// New returns the console. Who may reach it is the caller's to decide: see package guard.
func New(cfg Config) http.Handler {
	if cfg.Audience == nil {
		cfg.Audience = pipeline.KeptAudience{Store: cfg.Store}
	}
	c := &console{cfg}
	mux := http.NewServeMux()
	for _, r := range c.routes() {
		mux.HandleFunc(r.pattern, r.answer)
	}
	return guard.Headers(guard.SameOrigin(mux))
}

type route struct {
	pattern string
	answer  http.HandlerFunc
}

// routes is everything the console answers.
func (c *console) routes() []route {
	files, _ := fs.Sub(web, "web") // "web" is a valid path
	static := http.FileServerFS(files)
	routes := []route{
		{"GET /", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			static.ServeHTTP(w, r)
		}},
		{"GET /api/about", c.about},
		{"GET /api/jobs", c.recent},
		{"GET /api/jobs/{job}", c.detail},
		{"GET /api/jobs/{job}/events", c.events},
		{"GET /api/jobs/{job}/sender", c.senderView},
		{"GET /api/jobs/{job}/recipients/{recipient}", c.recipientView},
		{"GET /media/{job}/sender/{item}/{sha256}", c.senderMedia},
		{"GET /media/{job}/recipients/{recipient}/{item}/{sha256}", c.recipientMedia},
	}
	if c.Uploads == nil {
		return routes
	}
	return append(routes, []route{
		{"POST /api/uploads", c.upload},
		{"POST /api/messages", c.send},
	}...)
}
