package credentials

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/signalbox/signalbox/internal/reach"
)

// maxManifest bounds the file of a SealedSecret, in bytes.
const maxManifest = 1 << 20

// scopes begins the annotations that say to which names a SealedSecret is bound.
const scopes = "sealedsecrets.bitnami.com/"

// manifest is a SealedSecret in a file, as far as it is read.
type manifest struct {
	Group    string `json:"apiVersion"`
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec map[string]any `json:"spec"`

	data map[string]string // spec.encryptedData
}

// readManifest reads the file anew each time. Its errors quote nothing of it.
func readManifest(path, namespace, name string) (*manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, reach.Refused("file can't be read: %v", err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, reach.Refused("file can't be read: %v", err)
	}
	m, err := parseManifest(body)
	if err != nil {
		return nil, reach.Refused("file %s %v", path, err)
	}
	if m.Metadata.Name != name || m.Metadata.Namespace != namespace {
		return nil, reach.Refused("file %s holds SealedSecret %s/%s, and not %s/%s", path, reach.Shown(m.Metadata.Namespace), reach.Shown(m.Metadata.Name), namespace, name)
	}
	return m, nil
}

func parseManifest(body []byte) (*manifest, error) {
	if len(body) > maxManifest {
		return nil, fmt.Errorf("must have at most %d bytes", maxManifest)
	}
	documents := 0
	for part := range bytes.SplitSeq(append([]byte("\n"), body...), []byte("\n---")) {
		if len(bytes.TrimSpace(part)) > 0 {
			documents++
		}
	}
	var m manifest
	if documents != 1 || yaml.Unmarshal(body, &m) != nil {
		return nil, errors.New("must hold one manifest in YAML or JSON")
	}
	if m.Group != sealedSecrets.group+"/"+sealedSecrets.version || m.Kind != sealedSecrets.kind {
		return nil, fmt.Errorf("must hold a SealedSecret of %s/%s", sealedSecrets.group, sealedSecrets.version)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Spec)) {
		if key != "encryptedData" && key != "template" {
			return nil, errors.New("must have encryptedData and template alone under spec")
		}
	}
	entries, ok := m.Spec["encryptedData"].(map[string]any)
	if !ok || len(entries) == 0 {
		return nil, errors.New("must have spec.encryptedData")
	}
	if t, ok := m.Spec["template"].(map[string]any); ok && (t["data"] != nil || t["stringData"] != nil) {
		return nil, errors.New("must have no data in spec.template: it would stand there unsealed")
	}
	m.data = map[string]string{}
	for key, v := range entries {
		text, ok := v.(string)
		if !ok || text == "" {
			return nil, errors.New("must have only sealed text in spec.encryptedData")
		}
		m.data[key] = text
	}
	return &m, nil
}

// scope are the annotations that belong to how it was sealed.
func (m *manifest) scope() map[string]string {
	kept := map[string]string{}
	for k, v := range m.Metadata.Annotations {
		if strings.HasPrefix(k, scopes) {
			kept[k] = v
		}
	}
	return kept
}

// mark is the fingerprint of what is sealed.
func mark(data map[string]string) string {
	if len(data) == 0 {
		return "nothing sealed"
	}
	b, err := json.Marshal(data) // sorted by key
	if err != nil {              // strings always marshal
		return ""
	}
	return fingerprint("sealed", b)
}
