package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/exporter-toolkit/web"
)

// listener is one HTTP server: control and metrics, or webhooks.
type listener struct {
	name    string
	address string // host:port
	config  string // web configuration file of exporter-toolkit; empty: none
	handler http.Handler
	bound   net.Listener
}

// bind opens the port, so that a wrong address is an error at start.
func (s *listener) bind() error {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.bound = l
	return nil
}

// serve answers until ctx ends, then finishes what is under way.
func (s *listener) serve(ctx context.Context, log *slog.Logger) error {
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(grace); err != nil {
			log.Warn("requests were cut off", "server", s.name, "error", err)
		}
	})
	flags := &web.FlagConfig{WebListenAddresses: &[]string{s.address}, WebSystemdSocket: new(bool), WebConfigFile: &s.config}
	err := web.Serve(s.bound, srv, flags, log)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// loopback reports whether address can be reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// webConfig is what matters here of a web configuration.
type webConfig struct {
	TLS struct {
		ClientAuth string `yaml:"client_auth_type"`
		Cert       any    `yaml:"cert"`
		CertFile   string `yaml:"cert_file"`
	} `yaml:"tls_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
}

// readWebConfig reads a web configuration; no file is one that asks nothing.
func readWebConfig(file string) (c webConfig, err error) {
	if file == "" {
		return c, nil
	}
	if err := web.Validate(file); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%s: can't be read as a web configuration", file)
	}
	return c, nil
}

// authenticates reports whether a web configuration asks who is there: by
// users, or by client certificates that are verified.
func authenticates(file string) (bool, error) {
	c, err := readWebConfig(file)
	return len(c.Users) > 0 || c.TLS.ClientAuth == "RequireAndVerifyClientCert", err
}

// checksPasswords reports whether the server compares the passwords of users.
// It is asked at each such request, as the server reads its file at each.
func checksPasswords(file string) bool {
	c, err := readWebConfig(file)
	return err == nil && len(c.Users) > 0
}

// mayControlFrom refuses to take the credentials of people in the clear.
func mayControlFrom(address, config string, persons int) error {
	if persons == 0 || loopback(address) {
		return mayListen("control", address, config, false)
	}
	c, err := readWebConfig(config)
	if err != nil {
		return err
	}
	if c.TLS.CertFile == "" && c.TLS.Cert == nil {
		return fmt.Errorf("control: without TLS it listens on loopback only, since people send their tokens to it, got %s: give a web configuration with tls_server_config", address)
	}
	return nil
}

// mayListen refuses to be reachable from elsewhere without asking who is
// there.
func mayListen(name, address, config string, otherwiseGuarded bool) error {
	if loopback(address) || otherwiseGuarded {
		return nil
	}
	ok, err := authenticates(config)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s: without authentication it listens on loopback only, got %s: give a web configuration with basic_auth_users or client_auth_type: RequireAndVerifyClientCert", name, address)
	}
	return nil
}

// whoIs names the person or program behind a request that the server has let
// in.
func whoIs(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return "certificate " + r.TLS.VerifiedChains[0][0].Subject.CommonName
	}
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	return "unauthenticated from " + r.RemoteAddr
}
