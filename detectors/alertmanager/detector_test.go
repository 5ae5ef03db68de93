package alertmanager

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
)

func TestBuild(t *testing.T) {
	set := &DetectorSettings{Match: map[string]string{"a": "b"}}
	d, timing, err := set.Build(kind.Common{Name: "d", Source: "alerts"}, opened(t, nil))
	if err != nil || timing.For != 0 || timing.ClearFor != 0 || timing.KeepFiringFor != 0 {
		t.Fatal(timing, err)
	}
	set.Match["a"] = "changed"
	if own, ok := d.(*alerts.Detector); !ok || own.Match["a"] != "b" || own.Common.Name != "d" {
		t.Errorf("got %+v", d)
	}
}

func TestBuildNeedsASourceOfItsKind(t *testing.T) {
	if _, _, err := (&DetectorSettings{}).Build(kind.Common{Name: "d", Source: "metrics"}, 7); err == nil || !strings.Contains(err.Error(), `"metrics" must be of kind alertmanager`) {
		t.Errorf("got %v", err)
	}
}
