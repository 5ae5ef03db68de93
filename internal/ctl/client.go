package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
)

// newClient makes the client that authenticates as a file of Prometheus' HTTP
// client configuration says, with the token of a file, or both where they
// don't contradict each other.
func newClient(file, tokenFile string) (*http.Client, error) {
	cfg := &promconfig.HTTPClientConfig{}
	if file != "" {
		var err error
		if cfg, _, err = promconfig.LoadHTTPConfigFile(file); err != nil {
			return nil, fmt.Errorf("%s: not a usable HTTP client configuration", file)
		}
	}
	if tokenFile != "" {
		if cfg.BasicAuth != nil || cfg.Authorization != nil || cfg.OAuth2 != nil {
			return nil, errors.New("--token-file and the credentials of --http.config.file must not both be given")
		}
		if b, err := os.ReadFile(tokenFile); err != nil || strings.TrimSpace(string(b)) == "" {
			return nil, fmt.Errorf("--token-file %s: holds no token that can be read", tokenFile)
		}
		cfg.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: tokenFile}
	}
	if file == "" && tokenFile == "" {
		return &http.Client{Timeout: 30 * time.Second}, nil
	}
	client, err := promconfig.NewClientFromConfig(*cfg, "signalboxctl")
	if err != nil {
		return nil, err
	}
	client.Timeout = 30 * time.Second
	return client, nil
}

// ask sends a request and decodes the answer into out; with -o json the answer
// is printed as it is.
func (t *tool) ask(ctx context.Context, method, path string, body, out any) error {
	b, err := t.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	if t.json {
		_, err := io.WriteString(t.Out, escaped(b))
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: the answer can't be read: %w", method, path, err)
	}
	return nil
}

// open sends a request without a body, and returns the body of a good answer,
// which may take any time.
func (t *tool) open(ctx context.Context, method, path string) (io.ReadCloser, error) {
	patient := *t.client
	patient.Timeout = 0
	resp, err := t.do(ctx, &patient, method, path, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// send sends a request and returns the body of a good answer.
func (t *tool) send(ctx context.Context, method, path string, body any) ([]byte, error) {
	resp, err := t.do(ctx, t.client, method, path, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostRead))
	if err != nil {
		return nil, &unreachable{err}
	}
	return b, nil
}

// mostRead bounds an answer that is read whole.
const mostRead = 64 << 20

// do sends a request to the first server that can do it; any answer that is not
// good is an error.
func (t *tool) do(ctx context.Context, client *http.Client, method, path string, body any) (*http.Response, error) {
	var failed []error
	for i, server := range t.servers.all {
		resp, err := t.once(ctx, client, server, method, path, body)
		if err == nil || !passes(method, err) || ctx.Err() != nil {
			return resp, err
		}
		if failed = append(failed, err); i+1 < len(t.servers.all) {
			fmt.Fprintf(t.Err, "signalboxctl: %s: %v; asking the next\n", plain(server), err)
		}
	}
	return nil, t.servers.none(failed)
}

// once sends a request to one server.
func (t *tool) once(ctx context.Context, client *http.Client, server, method, path string, body any) (*http.Response, error) {
	var send io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(server, "/")+path, send)
	if err != nil || req.URL.Host == "" {
		return nil, &usageError{fmt.Sprintf("--server must be a URL, got %q", server)}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &unreachable{err}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostRead))
	if err != nil {
		return nil, &unreachable{err}
	}
	var said struct{ Error string }
	if json.Unmarshal(b, &said) == nil && said.Error != "" {
		return nil, &refused{resp.StatusCode, lines(said.Error)}
	}
	return nil, &refused{resp.StatusCode, fmt.Sprintf("%s %s answered %s", method, path, plain(resp.Status))}
}

func incidentPath(id string) string { return "/api/v1/incidents/" + url.PathEscape(id) }
