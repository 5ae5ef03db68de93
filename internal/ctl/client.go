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

// send sends a request and returns the body of a good answer.
func (t *tool) send(ctx context.Context, method, path string, body any) ([]byte, error) {
	var send io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(t.server, "/")+path, send)
	if err != nil || req.URL.Host == "" {
		return nil, &usageError{fmt.Sprintf("--server must be a URL, got %q", t.server)}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, &unreachable{err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, &unreachable{err}
	}
	if resp.StatusCode/100 == 2 {
		return b, nil
	}
	var said struct{ Error string }
	if json.Unmarshal(b, &said) == nil && said.Error != "" {
		return nil, errors.New(lines(said.Error))
	}
	return nil, fmt.Errorf("%s %s answered %s", method, path, plain(resp.Status))
}

func incidentPath(id string) string { return "/api/v1/incidents/" + url.PathEscape(id) }
