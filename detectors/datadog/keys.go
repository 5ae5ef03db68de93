package datadog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	ddapi "github.com/DataDog/datadog-api-client-go/v2/api/datadog"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxKey bounds what is read as a key, in bytes.
const maxKey = 4096

// key says where a credential is. It is read at each use, so that a rotated
// one counts at once.
type key struct {
	name string // for people: "api_key"
	file string
	env  string
}

// read returns the credential. Its errors hold nothing of it.
func (k key) read() (string, error) {
	value := os.Getenv(k.env)
	if k.file != "" {
		raw, err := readFile(k.file)
		if err != nil {
			return "", fmt.Errorf("%w: %s_file can't be read: %w", errKey, k.name, err)
		}
		value = raw
	}
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return "", fmt.Errorf("%w: %s is empty where it should be", errKey, k.name)
	case len(value) > maxKey || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%w: %s holds what can't be one", errKey, k.name)
	}
	return value, nil
}

// readFile reads a little more than the longest key: what is longer is seen to
// be none.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			return "", pe.Err
		}
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxKey+2))
	return string(raw), err
}

// credentials are both keys of a source.
type credentials struct{ api, application key }

func credentialsOf(s *Settings, dir string) credentials {
	return credentials{
		api:         key{"api_key", httpclient.In(dir, s.APIKeyFile), s.APIKeyEnv},
		application: key{"application_key", httpclient.In(dir, s.ApplicationKeyFile), s.ApplicationKeyEnv},
	}
}

// with gives the credentials to the requests that are made under ctx.
func (c credentials) with(ctx context.Context) (context.Context, error) {
	api, err := c.api.read()
	if err != nil {
		return ctx, err
	}
	application, err := c.application.read()
	if err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, ddapi.ContextAPIKeys, map[string]ddapi.APIKey{
		"apiKeyAuth": {Key: api}, "appKeyAuth": {Key: application},
	}), nil
}

// configure makes the configuration of Datadog's client: one server, ours, for
// all operations, and no retries, which are ours too.
func configure(base, agent string, client *http.Client) *ddapi.Configuration {
	cfg := ddapi.NewConfiguration()
	cfg.Servers = ddapi.ServerConfigurations{{URL: strings.TrimRight(base, "/")}}
	cfg.OperationServers = nil
	cfg.HTTPClient = client
	cfg.UserAgent = agent
	cfg.Compress = false // the transport does it, and bounds what comes out
	cfg.RetryConfiguration.EnableRetry = false
	return cfg
}
