package setting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// spec is Step.Spec: all that a flip needs, so that an action outlives the
// configuration that made it. It holds no secret.
type spec struct {
	Backend   string            `json:"backend"`
	Positions map[string]string `json:"positions"`
	// Expect is the value that an undo takes back: when another is found, it
	// is not ours to take back. Nil: a throw.
	Expect *string `json:"expect,omitempty"`
	// Stages are the positions through which the step goes, the last one being
	// where it goes to, and Every how long it stays at each; none: at once.
	Stages    []string       `json:"stages,omitempty"`
	Every     kind.Duration  `json:"every,omitempty"`
	ConfigMap *configMapSpec `json:"configmap,omitempty"`
	HTTP      *httpSpec      `json:"http,omitempty"`
	Redis     *redisSpec     `json:"redis,omitempty"`
	Env       *envSpec       `json:"env,omitempty"`
}

type configMapSpec struct {
	Kubeconfig string `json:"kubeconfig,omitempty"` // absolute
	InCluster  bool   `json:"in_cluster,omitempty"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Key        string `json:"key"`
	// Restart are the workloads that are restarted after a write, in order.
	Restart []restartSpec `json:"restart,omitempty"`
}

type httpSpec struct {
	URL     string        `json:"url"`
	Field   string        `json:"field"`
	Latency kind.Duration `json:"latency"`
	// Client is the HTTP client configuration as YAML: prometheus/common's
	// JSON form loses headers on its way back.
	Client string `json:"client"`
}

// The keys of a setting, of which a switch has exactly one.
const (
	backendConfigMap = "configmap"
	backendHTTP      = "http"
	backendRedis     = "redis"
	backendEnv       = "env"
)

// Backends are the keys that say where a setting is, each with new settings.
func Backends() map[string]func() kind.Settings {
	return map[string]func() kind.Settings{
		backendConfigMap: func() kind.Settings { return &ConfigMap{} },
		backendHTTP:      func() kind.Settings { return newHTTP() },
		backendRedis:     func() kind.Settings { return &Redis{} },
		backendEnv:       func() kind.Settings { return &Env{Timeout: defaultTimeout} },
	}
}

// Open makes the remediator that sets settings. It also seals.
func Open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("setting: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log), agent: env.Agent}, nil
}

// Resolve makes Step.Spec of a switch's settings.
func Resolve(in kind.SpecInput) (json.RawMessage, error) {
	if err := checkPositions(in.Positions); err != nil {
		return nil, fmt.Errorf("switch %q: %w", in.Name, err)
	}
	s := spec{Backend: in.Backend, Positions: in.Positions}
	var err error
	switch settings := in.Settings.(type) {
	case *ConfigMap:
		s.ConfigMap, err = resolveConfigMap(in, settings)
	case *HTTP:
		s.HTTP, err = resolveHTTP(in, settings)
	case *Redis:
		s.Redis, err = resolveRedis(in, settings)
	case *Env:
		s.Env, err = resolveEnv(in, settings)
	default:
		err = fmt.Errorf("backend must be configmap, env, http or redis, got %q", in.Backend)
	}
	if err != nil {
		return nil, fmt.Errorf("switch %q: %w", in.Name, err)
	}
	return json.Marshal(s)
}

// checkPositions refuses what would make a value found ambiguous, and secrets:
// values stand in journals and pages.
func checkPositions(positions map[string]string) error {
	if len(positions) == 0 {
		return errors.New("positions must list at least one")
	}
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(positions)) {
		value := positions[name]
		if value == "" {
			return fmt.Errorf("positions.%s must not be empty", name)
		}
		if reach.Shown(value) != value {
			return fmt.Errorf("positions.%s must hold no password, have at most %d bytes and print on one line", name, reach.MaxShown)
		}
		if other, taken := names[value]; taken {
			return fmt.Errorf("positions.%s and positions.%s must have different values, both are %q", other, name, value)
		}
		names[value] = name
	}
	return nil
}

func resolveConfigMap(in kind.SpecInput, c *ConfigMap) (*configMapSpec, error) {
	if in.Source == nil {
		return nil, errors.New("configmap.source: no sources are configured")
	}
	name, settings, ok := in.Source(c.Source)
	source, isCluster := settings.(*cluster.Settings)
	if !ok || name != cluster.Kind || !isCluster {
		return nil, fmt.Errorf("configmap.source must name a source of kind kubernetes, got %q", c.Source)
	}
	access, err := source.Resolve(in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", c.Source, err)
	}
	return &configMapSpec{Kubeconfig: access.Kubeconfig, InCluster: access.InCluster, Namespace: c.Namespace, Name: c.Name, Key: c.Key, Restart: resolveRestarts(c)}, nil
}

func resolveHTTP(in kind.SpecInput, h *HTTP) (*httpSpec, error) {
	dir, err := filepath.Abs(in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	client, err := promconfig.LoadHTTPConfig(h.HTTPClientConfig.String()) // a deep copy
	if err != nil {
		return nil, errors.New("http: must be a valid HTTP client configuration")
	}
	client.SetDirectory(dir)
	u, err := url.Parse(h.URL)
	if err != nil || addressRule(u) != "" {
		return nil, errors.New("http.url must be a URL without credentials, query and fragment")
	}
	return &httpSpec{URL: u.String(), Field: h.Field, Latency: h.Latency, Client: client.String()}, nil
}

func resolveRedis(in kind.SpecInput, r *Redis) (*redisSpec, error) {
	dir, err := filepath.Abs(in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	s := &redisSpec{Address: r.Address, Username: r.Username, PasswordFile: httpclient.In(dir, r.PasswordFile), Database: r.Database, Key: r.Key}
	if r.TLS != nil {
		tls := *r.TLS
		tls.SetDirectory(dir)
		s.TLS = &tls
	}
	return s, nil
}

// parseSpec reads Step.Spec strictly: a key that this version does not know
// may be a limit that it would not keep.
func parseSpec(raw json.RawMessage) (spec, error) {
	var s spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return spec{}, fmt.Errorf("step's spec can't be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return spec{}, errors.New("step's spec can't be read: more than one value")
	}
	given := map[string]bool{backendConfigMap: s.ConfigMap != nil, backendHTTP: s.HTTP != nil, backendRedis: s.Redis != nil, backendEnv: s.Env != nil}
	for name, has := range given {
		if has != (name == s.Backend) {
			return spec{}, fmt.Errorf("step's spec must hold the settings of its backend, configmap, env, http or redis, and no others, got %q", s.Backend)
		}
	}
	if !given[s.Backend] {
		return spec{}, fmt.Errorf("step's spec must hold the settings of its backend, configmap, env, http or redis, got %q", s.Backend)
	}
	for _, r := range s.restarts() {
		if kinds[r.Kind] == "" || len(s.Stages) > 0 {
			return spec{}, fmt.Errorf("step's spec has a restart of an unknown kind, or in stages: %q", r.Kind)
		}
	}
	for _, name := range s.Stages {
		if _, ok := s.Positions[name]; !ok {
			return spec{}, fmt.Errorf("step's spec has a stage that is not listed: %q", name)
		}
	}
	return s, checkPositions(s.Positions)
}

// position names the listed position that has the value; empty: none.
func (s spec) position(value string) string {
	for name, v := range s.Positions {
		if v == value {
			return name
		}
	}
	return ""
}

// undoing returns the spec of the step that takes value back.
func (s spec) undoing(value string) (json.RawMessage, error) {
	s.Expect = &value
	return json.Marshal(s)
}

// InStages returns the spec of a step as Resolve or a forecast's undo gave it,
// with the positions through which it goes and how long it stays at each. The
// last one must be where the step goes to.
func InStages(raw json.RawMessage, stages []string, every time.Duration) (json.RawMessage, error) {
	s, err := parseSpec(raw)
	if err != nil {
		return nil, err
	}
	s.Stages, s.Every = stages, kind.Duration(every)
	return json.Marshal(s)
}
