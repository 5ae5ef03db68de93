package fence

import (
	"crypto/sha256"
	"encoding/hex"
)

// Annotation is where the fence of one thing on an object of Kubernetes is kept:
// a key, a field. The name part of an annotation has at most 63 characters and
// ends in a letter or digit; what does not fit is hashed, under a prefix that no
// key gives.
func Annotation(of string) string {
	const prefix = "signalbox.io/fence."
	last := of[len(of)-1]
	alphanumeric := last >= 'a' && last <= 'z' || last >= 'A' && last <= 'Z' || last >= '0' && last <= '9'
	if alphanumeric && len("fence.")+len(of) <= 63 {
		return prefix + of
	}
	sum := sha256.Sum256([]byte(of))
	return "signalbox.io/fence-sha256." + hex.EncodeToString(sum[:16])
}
