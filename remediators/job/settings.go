package job

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signalbox/signalbox/internal/items"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the remediator that runs Jobs.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "job",
		Keyword: "job",
		Items:   true,
		Tools: map[string]kind.Tool{"job": {Settings: func() kind.Settings {
			return &Job{ServiceAccount: "default", Timeout: defaultTimeout, KeepLogLines: defaultLines, TTL: defaultTTL}
		}}},
		Spec: resolve,
		Open: open,
	}
}

const (
	defaultTimeout = kind.Duration(15 * time.Minute)
	defaultTTL     = kind.Duration(time.Hour)
	defaultLines   = 20
	mostLines      = 200
	leastTTL       = 10 * time.Minute
)

// Job is a tool that runs a Job.
type Job struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Namespace is where the Job runs.
	Namespace string `yaml:"namespace" json:"namespace" jsonschema:"required,maxLength=63"`
	// CronJob is the name of the CronJob whose template is run, in that namespace.
	CronJob string `yaml:"cronjob" json:"cronjob,omitempty"`
	// Template is the file with a Job (batch/v1), read when the configuration is; instead of a CronJob.
	Template string `yaml:"template" json:"template,omitempty"`
	// ServiceAccount is the service account that the template must run as.
	ServiceAccount string `yaml:"service_account" json:"service_account,omitempty" jsonschema:"default=default"`
	// Args replace the arguments of the template's first container, each as it is, without a shell. One that is {{item}}, or ends in ={{item}}, is given once for each id.
	Args []string `yaml:"args" json:"args,omitempty"`
	// ItemPattern is the regular expression (RE2) that each id must match as a whole; required with {{item}}.
	ItemPattern string `yaml:"item_pattern" json:"item_pattern,omitempty"`
	// Timeout is how long the Job may run.
	Timeout kind.Duration `yaml:"timeout" json:"timeout,omitzero" jsonschema:"default=15m"`
	// KeepLogLines is how many lines of the end of its log are kept as evidence; 0: none.
	KeepLogLines int `yaml:"keep_log_lines" json:"keep_log_lines" jsonschema:"default=20"`
	// TTL is how long the Job is kept once it has ended.
	TTL kind.Duration `yaml:"ttl" json:"ttl,omitzero" jsonschema:"default=1h"`
	// Approval says whether a person approves each run whatever the policy's autonomy; absent: required where it takes ids, none otherwise.
	Approval string `yaml:"approval" json:"approval,omitempty" jsonschema:"enum=required,enum=none"`
}

// takesItems reports whether an argument is an id.
func (j *Job) takesItems() bool {
	return slices.ContainsFunc(j.Args, func(a string) bool { return strings.Contains(a, items.Place) })
}

// Validate reports every rule that the settings break.
func (j *Job) Validate(fail kind.Fail) {
	if j.Source == "" {
		fail("source", "must name a source of kind kubernetes", j.Source)
	}
	if len(validation.IsDNS1123Label(j.Namespace)) > 0 {
		fail("namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", j.Namespace)
	}
	if (j.CronJob == "") == (j.Template == "") {
		fail("", "must have exactly one of cronjob and template", nil)
	}
	for key, name := range map[string]string{"cronjob": j.CronJob, "service_account": j.ServiceAccount} {
		if name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
			fail(key, "must be a name (lower-case letters, digits, '-' and '.', at most 253)", name)
		}
	}
	if j.ServiceAccount == "" {
		fail("service_account", "must name the account that the template runs as", j.ServiceAccount)
	}
	if d := j.Timeout.Std(); d < time.Minute || d > 24*time.Hour {
		fail("timeout", "must be between 1m and 24h", j.Timeout.String())
	}
	if d := j.TTL.Std(); d < leastTTL || d > 7*24*time.Hour {
		fail("ttl", "must be between 10m and 7d", j.TTL.String())
	}
	if j.KeepLogLines < 0 || j.KeepLogLines > mostLines {
		fail("keep_log_lines", fmt.Sprintf("must be between 0 and %d", mostLines), j.KeepLogLines)
	}
	if j.Approval != "" && j.Approval != "required" && j.Approval != "none" {
		fail("approval", "must be required or none", j.Approval)
	}
	j.validateArgs(fail)
}

func (j *Job) validateArgs(fail kind.Fail) {
	ended := false // by "--": what follows is no option
	for i, a := range j.Args {
		at := fmt.Sprintf("args[%d]", i)
		ended = ended || a == "--"
		switch head, found := strings.CutSuffix(a, items.Place); {
		case strings.ContainsAny(a, "\x00\r\n"):
			fail(at, "must be one line", a)
		case !strings.Contains(a, items.Place):
		case !found || strings.Contains(head, items.Place) || head != "" && !strings.HasSuffix(head, "="):
			fail(at, "must be "+items.Place+" as a whole, or end in ="+items.Place, a)
		case head == "" && !ended:
			fail(at, `must come after "--": an id is never an option`, a)
		}
	}
	switch takes := j.takesItems(); {
	case takes && j.ItemPattern == "":
		fail("item_pattern", "is required with "+items.Place, nil)
	case !takes && j.ItemPattern != "":
		fail("item_pattern", "must not be given without "+items.Place+" in args", j.ItemPattern)
	case j.ItemPattern != "":
		if _, err := items.Whole(j.ItemPattern); err != nil {
			fail("item_pattern", "must be a regular expression (RE2)", j.ItemPattern)
		}
	}
}
