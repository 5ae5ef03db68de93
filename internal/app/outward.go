package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkresource "go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// heartbeat tells the outside that this daemon works: while it leads, and so
// its store answers, a request is sent every interval; its absence is what is
// noticed there.
func (d *daemon) heartbeat(ctx context.Context) {
	client := &http.Client{Timeout: 10 * time.Second}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		hb := d.current().config.Heartbeat
		if hb == nil {
			t.Reset(10 * time.Second)
			continue
		}
		t.Reset(hb.Interval)
		if !d.engine.Leading() {
			continue
		}
		if err := beatOnce(ctx, client, hb.URL); err != nil {
			d.metrics.heartbeatErrors.Inc()
			d.log.Warn("heartbeat", "error", err)
			continue
		}
		d.metrics.heartbeatLast.Set(float64(d.options.Now().UnixMilli()) / 1e3)
	}
}

func beatOnce(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("heartbeat.url is not usable")
	}
	resp, err := client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// withoutURL drops the URL from a client's error: it may hold a token.
func withoutURL(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// tracing returns a tracer that exports over OTLP, and what ends it; nil where
// none is configured.
func tracing(ctx context.Context, endpoint, env, replica string) (trace.Tracer, func(context.Context) error, error) {
	if endpoint == "" {
		return nil, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	resource := sdkresource.NewSchemaless(attribute.String("service.name", "signalbox"), attribute.String("service.instance.id", replica),
		attribute.String("env", env), attribute.String("deployment.environment.name", env))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource))
	return provider.Tracer("signalbox"), provider.Shutdown, nil
}
