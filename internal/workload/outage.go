package workload

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Outage says that all pods may be gone at once while they are replaced; empty:
// at least one stays.
func (o *Object) Outage() string {
	want := o.Replicas()
	if want == 0 {
		return ""
	}
	if o.Kind == Deployment && o.Spec.Strategy.Type == "Recreate" {
		return fmt.Sprintf("its strategy is Recreate, so that all pods (%d) are gone before new ones come", want)
	}
	gone, err := o.gone(want)
	if err != nil {
		return "how many of its pods may be gone while they are replaced can't be read: " + err.Error()
	}
	if int32(gone) >= want { //nolint:gosec // a count of pods
		return fmt.Sprintf("as its strategy is, all pods (%d) may be gone at once while they are replaced", want)
	}
	return ""
}

// gone is how many pods may be missing during a rolling update, rounded as their
// controllers do: of a Deployment surge up and unavailable down, of a DaemonSet
// both up, and one where both come to none. A StatefulSet replaces one by one.
func (o *Object) gone(want int32) (int, error) {
	of, up, without := o.Spec.UpdateStrategy.RollingUpdate, o.Kind == DaemonSet, intstr.FromInt32(1)
	if o.Kind == Deployment {
		of, without = o.Spec.Strategy.RollingUpdate, intstr.FromString("25%")
	}
	unavailable, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(of.MaxUnavailable, without), int(want), up)
	if err != nil {
		return 0, err
	}
	if o.Kind == Deployment {
		without = intstr.FromString("25%")
	} else {
		without = intstr.FromInt32(0)
	}
	surge, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(of.MaxSurge, without), int(want), true)
	if err == nil && unavailable == 0 && surge == 0 {
		unavailable = 1
	}
	return unavailable, err
}
