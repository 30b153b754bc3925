// Package traces tells OpenTelemetry of jobs: one span for each attempt, run, item and stage, below the span of whoever submitted the job.
// It is the only importer of OpenTelemetry. Nothing is traced unless the environment says where to:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318   or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; OTLP over HTTP
//	OTEL_TRACES_SAMPLER=parentbased_traceidratio        and the other OTEL_* of the SDK and the exporter
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// Traces makes spans. It is safe for concurrent use.
type Traces struct {
	tracer trace.Tracer
	close  func(context.Context) error
}

var (
	_ pipeline.Observer = (*Traces)(nil)
	_ queue.Observer    = (*Traces)(nil)
)

// Start reads the environment. Without an endpoint it returns Traces that do nothing but hand the submitter's trace on. It must be closed.
func Start(ctx context.Context, version string, log *slog.Logger) (*Traces, error) {
	if !wanted() {
		return &Traces{tracer: noop.NewTracerProvider().Tracer(""), close: func(context.Context) error { return nil }}, nil
	}
	if p := firstOf("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: want http/protobuf, got %q", p)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", "ninefold"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", slog.Any("error", err)) }))
	return over(sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))), nil
}

func over(p *sdk.TracerProvider) *Traces {
	return &Traces{tracer: p.Tracer("github.com/ninefold/ninefold"), close: p.Shutdown}
}

// wanted: an endpoint is set, and nothing switches traces off.
func wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return firstOf("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_TRACES_EXPORTER") == "otlp"
}

func firstOf(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// closeWithin is how long the last spans may take to be sent.
const closeWithin = 5 * time.Second

// Close sends what is left.
func (t *Traces) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return t.close(ctx)
}

// Attempt begins a span below the submitter's and puts its own id in that one's place.
func (t *Traces) Attempt(ctx context.Context, class queue.Class, jobID string) (context.Context, func(string, error)) {
	ctx, span := t.tracer.Start(remote(ctx), "attempt", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("ninefold.class", string(class)), attribute.String("ninefold.job_id", jobID)))
	return carried(ctx), func(outcome string, err error) {
		span.SetAttributes(attribute.String("ninefold.outcome", outcome))
		end(span, err)
	}
}

// Job begins a span below the attempt's, or below whoever calls without a queue.
func (t *Traces) Job(ctx context.Context, job pipeline.Job) (context.Context, func(pipeline.Manifest, error)) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = remote(ctx)
	}
	ctx, span := t.tracer.Start(ctx, "run", trace.WithAttributes(
		attribute.String("ninefold.job_id", job.JobID), attribute.String("ninefold.message_id", job.MessageID),
		attribute.Int("ninefold.items", len(job.Items)), attribute.Int("ninefold.recipients", len(job.Recipients))))
	return ctx, func(m pipeline.Manifest, err error) {
		span.SetAttributes(attribute.String("ninefold.status", string(m.Status)))
		setCode(span, m.Error)
		end(span, err)
	}
}

// Item begins a span below the run's.
func (t *Traces) Item(ctx context.Context, item pipeline.Item) (context.Context, func(pipeline.ItemEnd)) {
	ctx, span := t.tracer.Start(ctx, "item", trace.WithAttributes(attribute.String("ninefold.item_id", item.ID)))
	return ctx, func(e pipeline.ItemEnd) {
		span.SetAttributes(attribute.String("ninefold.kind", string(e.Part.Kind)), attribute.String("ninefold.status", string(e.Part.Status)),
			attribute.Bool("ninefold.recalled", e.Recalled))
		setCode(span, e.Part.Error)
		end(span, e.Err)
	}
}

// Stage begins a span below the item's.
func (t *Traces) Stage(ctx context.Context, kind pipeline.Kind, name string) (context.Context, func(error)) {
	ctx, span := t.tracer.Start(ctx, name, trace.WithAttributes(attribute.String("ninefold.kind", string(kind))))
	return ctx, func(err error) { end(span, err) }
}

func setCode(span trace.Span, f *pipeline.Failure) {
	if f != nil {
		span.SetAttributes(attribute.String("ninefold.code", string(f.Code)))
	}
}

// end closes a span. Of an error it tells the code: the text is the log's. A refused file is a result, and no failed span.
func end(span trace.Span, err error) {
	if err != nil {
		code := pipeline.AsError(err).Code
		span.SetAttributes(attribute.String("ninefold.code", string(code)))
		if code.Trouble() {
			span.SetStatus(codes.Error, string(code))
		}
	}
	span.End()
}

// header is where W3C Trace Context lies in a carrier.
const header = "traceparent"

// remote takes up the trace that came with the job.
func remote(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: pipeline.TraceOf(ctx)})
}

// carried hands the current span on as a traceparent.
func carried(ctx context.Context) context.Context {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	if !slices.Contains(carrier.Keys(), header) {
		return ctx
	}
	return pipeline.WithTrace(ctx, carrier.Get(header))
}
