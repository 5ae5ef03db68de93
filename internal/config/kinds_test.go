package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	common "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// testKinds are small kinds with keys like those of the real ones.
func testKinds() Kinds {
	return Kinds{
		Sources: []kind.Source{
			{
				Name:     "prometheus",
				Settings: func() kind.Settings { return &testPrometheus{HTTP: common.DefaultHTTPClientConfig} },
				Detector: func() kind.DetectorSettings { return &testQuery{} },
			},
			{
				Name:     "alertmanager",
				Settings: func() kind.Settings { return &testAlerts{} },
				Detector: func() kind.DetectorSettings { return &testAlert{} },
				Receives: func(s kind.Settings) string { return s.(*testAlerts).Receive },
			},
			{Name: "kubernetes", Settings: func() kind.Settings { return &testCluster{} }},
			{Name: "loki", Settings: func() kind.Settings { return &testLoki{} }, Look: func() kind.LookSettings { return &testLook{} }},
		},
		Remediators: []kind.Remediator{
			{
				Name: "endpoint", Keyword: "flip", Spec: testSpec,
				Backends: map[string]func() kind.Settings{
					"configmap": func() kind.Settings { return &testConfigMap{} },
					"http":      func() kind.Settings { return &testSetting{Field: "value"} },
				},
			},
			{
				Name: "gadget", Keyword: "gadget", Spec: testSpec,
				Tools: map[string]kind.Tool{"gadget": {Settings: func() kind.Settings { return &testGadget{} }, Moves: func(kind.Settings) []string { return []string{"paused", "restarted"} }, After: pausedFirst}},
			},
			{
				Name: "herald", Keyword: "herald", Spec: testSpec,
				Tools: map[string]kind.Tool{"herald": {Settings: func() kind.Settings { return &testGadget{} }, Tells: true, About: true}},
			},
			{
				Name: "chore", Keyword: "chore", Spec: testSpec,
				Tools: map[string]kind.Tool{"chore": {Settings: func() kind.Settings { return &testGadget{} }, Host: func(json.RawMessage) string { return "" }}},
			},
			{
				Name: "page", Keyword: "page", Spec: testSpec,
				Owner: map[string]func() kind.Settings{"pagerduty": func() kind.Settings { return &testPager{} }},
			},
		},
	}
}

func testSpec(in kind.SpecInput) (json.RawMessage, error) {
	if c, ok := in.Settings.(*testConfigMap); ok {
		if name, _, _ := in.Source(c.Source); name != "kubernetes" {
			return nil, fmt.Errorf("source must be of kind kubernetes, got %q", name)
		}
	}
	return json.Marshal(map[string]any{"backend": in.Backend, "settings": in.Settings, "positions": in.Positions})
}

func testURL(fail kind.Fail, text string) {
	if u, err := url.Parse(text); text != "" && (err != nil || u.Host == "") {
		fail("url", "must be an http or https URL", text)
	}
}

type testLook struct {
	Query  string   `yaml:"query" jsonschema:"required"`
	Fields []string `yaml:"fields" jsonschema:"required,minItems=1"`
}

func (s *testLook) Validate(kind.Fail) {}

func (s *testLook) Field(name string) string {
	if !model.LegacyValidation.IsValidLabelName(name) {
		return "must be the name of a field"
	}
	return ""
}

func (s *testLook) Build(string, any) (kind.Look, error) { return nil, nil }

type testPrometheus struct {
	URL     string                  `yaml:"url" jsonschema:"required,format=uri"` // Base URL of the API.
	Timeout kind.Duration           `yaml:"timeout,omitempty"`
	HTTP    common.HTTPClientConfig `yaml:",inline"`
}

func (s *testPrometheus) Validate(fail kind.Fail) {
	testURL(fail, s.URL)
	if s.Timeout < 0 {
		fail("timeout", "must be above 0", s.Timeout)
	}
	if err := s.HTTP.Validate(); err != nil {
		fail("", "must be a valid client: "+err.Error(), "")
	}
}

type testEdge struct {
	Above kind.Quantity `yaml:"above,omitempty"`
	Below kind.Quantity `yaml:"below,omitempty"`
	For   kind.Duration `yaml:"for,omitempty"`
}

type testQuery struct {
	Query         string         `yaml:"query" jsonschema:"required"`
	ValueUnit     signalbox.Unit `yaml:"unit,omitempty"`
	Presence      string         `yaml:"presence,omitempty"`
	Breach        testEdge       `yaml:"breach" jsonschema:"required"`
	Clear         testEdge       `yaml:"clear,omitempty"`
	KeepFiringFor kind.Duration  `yaml:"keep_firing_for,omitempty"`
	MaxAge        kind.Duration  `yaml:"max_age,omitempty"`
}

func (s *testQuery) Fresh(time.Duration) time.Duration { return s.MaxAge.Std() }

func (s *testQuery) Validate(fail kind.Fail) {
	above, below := s.Breach.Above, s.Clear.Below
	if above.IsZero() {
		fail("breach.above", "is required", nil)
		return
	}
	if above.Unit != s.ValueUnit {
		fail("breach.above", fmt.Sprintf("must be in the unit of the value (%s)", s.ValueUnit), above)
	}
	if !below.IsZero() && below.Value >= above.Value {
		fail("breach.above", fmt.Sprintf("must be greater than clear.below (%s)", below), above)
	}
}

func (s *testQuery) Build(kind.Common, any) (signalbox.Detector, track.Timing, error) {
	return nil, track.Timing{}, nil
}

func (s *testQuery) Unit() signalbox.Unit { return s.ValueUnit }

type testAlerts struct {
	URL       string        `yaml:"url" jsonschema:"required"`
	Receive   string        `yaml:"receive" jsonschema:"required"`
	Auth      testAuth      `yaml:"auth,omitempty"`
	Reconcile kind.Duration `yaml:"reconcile,omitempty"`
}

type testAuth struct {
	BearerFile string `yaml:"bearer_file,omitempty"`
	BearerEnv  string `yaml:"bearer_env,omitempty"`
}

func (s *testAlerts) Every() time.Duration { return s.Reconcile.Std() }

func (s *testAlerts) Validate(fail kind.Fail) { testURL(fail, s.URL) }

type testAlert struct {
	Match map[string]string `yaml:"match,omitempty"`
}

func (*testAlert) Validate(kind.Fail) {}

func (*testAlert) Build(kind.Common, any) (signalbox.Detector, track.Timing, error) {
	return nil, track.Timing{}, nil
}

func (*testAlert) Unit() signalbox.Unit { return signalbox.Number }

type testCluster struct {
	Kubeconfig string `yaml:"kubeconfig,omitempty"`
	InCluster  bool   `yaml:"in_cluster,omitempty"`
}

func (s *testCluster) Validate(fail kind.Fail) {
	if (s.Kubeconfig == "") == !s.InCluster {
		fail("", "must have kubeconfig, or in_cluster: true", nil)
	}
}

type testConfigMap struct {
	Source    string `yaml:"source" jsonschema:"required"`
	Namespace string `yaml:"namespace" jsonschema:"required"`
	Name      string `yaml:"name" jsonschema:"required"`
	Key       string `yaml:"key" jsonschema:"required"`
}

func (*testConfigMap) Validate(kind.Fail) {}

type testSetting struct {
	URL   string                  `yaml:"url" jsonschema:"required"`
	Field string                  `yaml:"field,omitempty"`
	HTTP  common.HTTPClientConfig `yaml:",inline"`
}

func (s *testSetting) Validate(fail kind.Fail) { testURL(fail, s.URL) }

type testPager struct {
	PrimaryKeyFile string `yaml:"primary_key_file,omitempty"`
	PrimaryKeyEnv  string `yaml:"primary_key_env,omitempty"`
	URL            string `yaml:"url,omitempty"`
}

func (s *testPager) Validate(fail kind.Fail) {
	if (s.PrimaryKeyFile == "") == (s.PrimaryKeyEnv == "") {
		fail("", "must have exactly one of primary_key_file and primary_key_env", nil)
	}
	testURL(fail, s.URL)
}

type testGadget struct {
	Deployment string `yaml:"deployment" jsonschema:"required"`
}

func (*testGadget) Validate(kind.Fail) {}

// pausedFirst is the order of what the gadget "ordered" does.
func pausedFirst(s kind.Settings, move string) []string {
	if s.(*testGadget).Deployment == "ordered" && move == "restarted" {
		return []string{"paused"}
	}
	return nil
}
