package credentials

import "github.com/signalbox/signalbox/internal/fence"

// annotationFence is where the fence stands on a SealedSecret: its Value is the
// fingerprint of what was applied, and its Was the version of the Secret before.
const annotationFence = "signalbox.io/fence"

// fenceOf reads the fence among annotations; ok: there is none, or it is ours.
func fenceOf(annotations map[string]string) (f fence.Fence, ok bool) {
	raw, there := annotations[annotationFence]
	if !there {
		return fence.Fence{}, true
	}
	f, err := fence.Parse([]byte(raw))
	return f, err == nil
}
