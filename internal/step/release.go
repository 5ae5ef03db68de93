//go:build !faults

package step

// Armed says whether steps can be stopped at: not in a release.
const Armed = false

// At passes a step.
func At(Name) {}
