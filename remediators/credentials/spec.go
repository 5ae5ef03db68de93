package credentials

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// spec is Step.Spec: all that a step needs, so that an action outlives the
// configuration that made it. It holds no secret.
type spec struct {
	Kubeconfig string        `json:"kubeconfig,omitempty"` // absolute
	InCluster  bool          `json:"in_cluster,omitempty"`
	Namespace  string        `json:"namespace,omitempty"`
	Consumers  []string      `json:"consumers,omitempty"`
	Timeout    kind.Duration `json:"timeout,omitzero"`
	Token      *tokenSpec    `json:"token,omitempty"`
	Sealed     *sealedSpec   `json:"sealed,omitempty"`
	AWS        *awsSpec      `json:"aws,omitempty"` // on its own: it needs no cluster
}

type awsSpec struct {
	User            string        `json:"user"`
	Leaked          string        `json:"leaked"`
	Region          string        `json:"region"`
	Endpoint        string        `json:"endpoint,omitempty"`
	CredentialsFile string        `json:"credentials_file,omitempty"` // absolute
	Profile         string        `json:"profile"`
	UnusedFor       kind.Duration `json:"unused_for"`
}

type tokenSpec struct {
	ServiceAccount string `json:"service_account"`
	Secret         string `json:"secret"`
	Replacement    string `json:"replacement"`
}

type sealedSpec struct {
	Name string `json:"name"`
	File string `json:"file"` // absolute
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	var sp spec
	var at Place
	switch s := in.Settings.(type) {
	case *Token:
		at = s.Place
		sp.Token = &tokenSpec{ServiceAccount: s.ServiceAccount, Secret: s.Name, Replacement: s.Replacement}
	case *Sealed:
		dir, err := filepath.Abs(in.ConfigDir)
		if err != nil {
			return nil, fmt.Errorf("tool %q: %s.file: %w", in.Name, in.Backend, err)
		}
		at = s.Place
		sp.Sealed = &sealedSpec{Name: s.Name, File: httpclient.In(dir, s.File)}
	case *AccessKey:
		dir, err := filepath.Abs(in.ConfigDir)
		if err != nil {
			return nil, fmt.Errorf("tool %q: %s.credentials_file: %w", in.Name, in.Backend, err)
		}
		key := awsSpec(*s)
		key.CredentialsFile = httpclient.In(dir, s.CredentialsFile)
		return json.Marshal(spec{AWS: &key})
	default:
		return nil, fmt.Errorf("tool %q: must have the key kubernetes_token, sealed_secret or aws_access_key, got %q", in.Name, in.Backend)
	}
	access, err := accessOf(in, at.Source)
	if err != nil {
		return nil, fmt.Errorf("tool %q: %s.source %w", in.Name, in.Backend, err)
	}
	sp.Kubeconfig, sp.InCluster = access.Kubeconfig, access.InCluster
	sp.Namespace, sp.Consumers, sp.Timeout = at.Namespace, at.Consumers, at.Timeout
	return json.Marshal(sp)
}

func accessOf(in kind.SpecInput, source string) (cluster.Access, error) {
	if in.Source == nil {
		return cluster.Access{}, errors.New("names a source, and none is configured")
	}
	name, settings, ok := in.Source(source)
	s, isCluster := settings.(*cluster.Settings)
	if !ok || name != cluster.Kind || !isCluster {
		return cluster.Access{}, fmt.Errorf("must name a source of kind kubernetes, got %q", source)
	}
	return s.Resolve(in.ConfigDir)
}

// parseSpec reads Step.Spec strictly: a key that this version does not know may
// be a limit that it would not keep.
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
	given := 0
	for _, has := range []bool{s.Token != nil, s.Sealed != nil, s.AWS != nil} {
		if has {
			given++
		}
	}
	if given != 1 {
		return spec{}, errors.New("step's spec must hold exactly one of a token, a sealed secret and an access key")
	}
	return s, s.check()
}

// check holds the spec against the rules of the configuration.
func (s *spec) check() error {
	var broken string
	fail := func(path, rule string, value any) { broken = fmt.Sprintf("%s %s, got %v", path, rule, value) }
	settings := kind.Settings(nil)
	at := Place{Source: "resolved", Namespace: s.Namespace, Consumers: s.Consumers, Timeout: s.Timeout}
	switch {
	case s.Token != nil:
		settings = &Token{Place: at, ServiceAccount: s.Token.ServiceAccount, Name: s.Token.Secret, Replacement: s.Token.Replacement}
	case s.Sealed != nil:
		settings = &Sealed{Place: at, Name: s.Sealed.Name, File: s.Sealed.File}
	default:
		key := AccessKey(*s.AWS)
		settings = &key
	}
	if settings.Validate(fail); broken != "" {
		return fmt.Errorf("step's spec: %s", broken)
	}
	return nil
}
