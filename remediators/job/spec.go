package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// spec is Step.Spec: all that a run needs, so that an action outlives the
// configuration that made it. It holds no secret.
type spec struct {
	Kubeconfig     string           `json:"kubeconfig,omitempty"` // absolute
	InCluster      bool             `json:"in_cluster,omitempty"`
	Namespace      string           `json:"namespace"`
	CronJob        string           `json:"cronjob,omitempty"`
	Template       *batchv1.JobSpec `json:"template,omitempty"`
	ServiceAccount string           `json:"service_account"`
	Args           []string         `json:"args,omitempty"`
	ItemPattern    string           `json:"item_pattern,omitempty"`
	Timeout        kind.Duration    `json:"timeout"`
	KeepLogLines   int              `json:"keep_log_lines,omitempty"`
	TTL            kind.Duration    `json:"ttl"`
	Approval       bool             `json:"approval,omitempty"`
}

const mostTemplate = 256 << 10 // bytes

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	j, ok := in.Settings.(*Job)
	if !ok {
		return nil, fmt.Errorf("tool %q: must be job, got %q", in.Name, in.Backend)
	}
	access, err := cluster.Named(in, j.Source)
	if err != nil {
		return nil, fmt.Errorf("tool %q: job.%w", in.Name, err)
	}
	s := spec{
		Kubeconfig: access.Kubeconfig, InCluster: access.InCluster, Namespace: j.Namespace, CronJob: j.CronJob, ServiceAccount: j.ServiceAccount,
		Args: j.Args, ItemPattern: j.ItemPattern, Timeout: j.Timeout, KeepLogLines: j.KeepLogLines, TTL: j.TTL,
		Approval: j.Approval == "required" || j.Approval == "" && j.takesItems(),
	}
	if j.Template != "" {
		if s.Template, err = readTemplate(in.ConfigDir, j.Template, j.Namespace); err != nil {
			return nil, fmt.Errorf("tool %q: job.template: %w", in.Name, err)
		}
		if why := unfit(s, s.Template); why != "" {
			return nil, fmt.Errorf("tool %q: job.template: %s", in.Name, why)
		}
	}
	return json.Marshal(s)
}

func readTemplate(dir, file, namespace string) (*batchv1.JobSpec, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(text) > mostTemplate {
		return nil, fmt.Errorf("%s is longer than %d bytes", file, mostTemplate)
	}
	var job batchv1.Job
	if err := yaml.UnmarshalStrict(text, &job); err != nil {
		return nil, fmt.Errorf("%s is not a Job (batch/v1): %w", file, err)
	}
	if job.Kind != "Job" || job.APIVersion != "batch/v1" {
		return nil, fmt.Errorf("%s is not a Job (batch/v1)", file)
	}
	if job.Namespace != "" && job.Namespace != namespace {
		return nil, fmt.Errorf("%s is for namespace %s, and the tool for %s", file, job.Namespace, namespace)
	}
	return &job.Spec, nil
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
	if (s.CronJob == "") == (s.Template == nil) || s.Namespace == "" || s.ServiceAccount == "" {
		return spec{}, errors.New("step's spec must hold a namespace, a service account, and a cronjob or a template")
	}
	return s, nil
}
