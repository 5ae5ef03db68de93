package fence

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestAnnotation(t *testing.T) {
	seen := map[string]string{}
	for _, key := range []string{"K", "DB_READONLY_ENDPOINT", "a.b-c_d", "K_", "K.", "_", ".x", strings.Repeat("k", 57), strings.Repeat("k", 58), strings.Repeat("k", 253)} {
		name := Annotation(key)
		if e := validation.IsQualifiedName(name); len(e) > 0 {
			t.Errorf("%s: %s: %v", key, name, e)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%s and %s share %s", key, other, name)
		}
		seen[name] = key
	}
}
