package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func fromNode(from runtime.Object) *object {
	n, ok := from.(*corev1.Node)
	if !ok {
		return nil
	}
	o := newObject(n)
	o.owner, o.node = owner{"Node", o.name}, o.name
	o.symptoms = nodeSymptoms(n)
	return o
}

// pressures are the conditions of a node that are ill when they are true.
var pressures = map[corev1.NodeConditionType]string{
	corev1.NodeMemoryPressure: memoryPressure, corev1.NodeDiskPressure: diskPressure,
	corev1.NodePIDPressure: pidPressure, corev1.NodeNetworkUnavailable: noNetwork,
}

// nodeSymptoms: one that is cordoned is being worked on, and what it says
// meanwhile has a reason of its own, which nobody is told of unasked.
func nodeSymptoms(n *corev1.Node) []symptom {
	if n.DeletionTimestamp != nil {
		return nil
	}
	var list []symptom
	for _, c := range n.Status.Conditions {
		why := ""
		switch {
		case c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown:
			why = unreachable
		case c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue:
			why = notReady
		case c.Status == corev1.ConditionTrue:
			why = pressures[c.Type]
		}
		if why != "" && n.Spec.Unschedulable {
			return []symptom{{reason: cordoned, at: c.LastTransitionTime.Time}}
		}
		if why != "" {
			list = append(list, symptom{reason: why, at: c.LastTransitionTime.Time})
		}
	}
	return list
}
