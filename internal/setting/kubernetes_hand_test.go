package setting_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
)

// TestRealHand: the API server tells by whom, and when, a throw was flipped.
func TestRealHand(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.grant()
	a := c.claim(c.step("replica-b"), "a1", 10)
	if _, err := c.remediator.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	_, err := c.admin.CoreV1().ConfigMaps("core").Patch(t.Context(), "core-env", types.MergePatchType,
		[]byte(`{"data":{"`+key+`":"by-hand:5432"}}`), metav1.PatchOptions{FieldManager: "kubectl-patch"})
	c.must(err)
	for _, s := range []signalbox.Step{c.step("replica-a"), *a.Forecast.Undo} {
		f, err := c.remediator.Preview(t.Context(), s)
		if err != nil || !strings.Contains(f.Hand, `since action a1`) || !strings.Contains(f.Hand, `written by "kubectl-patch" at 20`) {
			t.Errorf("hand %q, %v", f.Hand, err)
		}
	}
	c.patch(`{"data":{"` + key + `":"` + valueA + `"}}`)
	if f, err := c.remediator.Preview(t.Context(), *a.Forecast.Undo); err != nil || f.Hand != "" || !f.Already {
		t.Errorf("taken back by hand: %q, already %t, %v", f.Hand, f.Already, err)
	}
}
