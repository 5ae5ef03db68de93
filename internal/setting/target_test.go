package setting

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/kind"
)

// The positions of the switch under test, and the secret that nothing may show.
const (
	valueA = "pg-a.data-plane:5432"
	valueB = "pg-b.data-plane:5432"
	valueC = "pg-c.data-plane:5432"
	secret = "s3cr3t-of-the-test"
)

var (
	positions = map[string]string{"replica-a": valueA, "replica-b": valueB, "replica-c": valueC}
	now       = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
)

// target is one setting in memory, with two faces: a key of a ConfigMap behind
// Kubernetes' API, and a JSON object behind HTTP. It compares and sets.
type target struct {
	mu      sync.Mutex
	value   string
	fence   string // JSON; "": none
	version int
	writes  []string // the values, and "seal"
	other   int      // changes of an unrelated key
	bare    bool     // http: the object has no place for a fence
	allowed bool     // the answer of an access review
	// on is asked first, for each request; true: it has answered.
	on func(w http.ResponseWriter, r *http.Request) bool

	url, api string // of the object, and of the API server: client-go sends no token without TLS
	ca       []byte
	close    func() // ends both servers, for good
}

func newTarget(t *testing.T) *target {
	t.Helper()
	x := &target{value: valueA, version: 1, allowed: true}
	plain, secure := httptest.NewServer(x), httptest.NewTLSServer(x)
	x.close = func() { plain.CloseClientConnections(); plain.Close(); secure.CloseClientConnections(); secure.Close() }
	t.Cleanup(x.close)
	x.url, x.api = plain.URL, secure.URL
	x.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	return x
}

// state is what is there now.
func (x *target) state() (value string, f fence.Fence, writes int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fence != "" {
		if err := json.Unmarshal([]byte(x.fence), &f); err != nil {
			panic(err)
		}
	}
	return x.value, f, len(x.writes)
}

// touch changes the setting as a person does: the fence stays.
func (x *target) touch(value string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.value, x.version = value, x.version+1
}

func (x *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	on := x.on
	x.mu.Unlock()
	if on != nil && on(w, r) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+secret:
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		fmt.Fprintf(w, `{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":%t}}`, x.allowed)
	case r.Method == http.MethodGet && r.URL.Path == "/setting":
		x.getSetting(w)
	case r.Method == http.MethodPut && r.URL.Path == "/setting":
		x.putSetting(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/namespaces/core/configmaps/core-env":
		x.getConfigMap(w)
	case r.Method == http.MethodPatch && r.URL.Path == "/api/v1/namespaces/core/configmaps/core-env":
		x.patchConfigMap(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (x *target) getSetting(w http.ResponseWriter) {
	w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, x.version))
	object := map[string]any{"value": x.value, "limit": json.RawMessage("12345678901234567890"), "other": x.other}
	if !x.bare {
		object["signalbox"] = json.RawMessage("null")
		if x.fence != "" {
			object["signalbox"] = json.RawMessage(x.fence)
		}
	}
	_ = json.NewEncoder(w).Encode(object)
}

func (x *target) putSetting(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Value string
		Limit json.RawMessage
		Fence json.RawMessage `json:"signalbox"`
	}
	b, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(b, &body); err != nil || string(body.Limit) != "12345678901234567890" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get("If-Match") != fmt.Sprintf(`"v%d"`, x.version) {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	x.put(body.Value, string(body.Fence))
	w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, x.version))
	_, _ = w.Write(b)
}

func (x *target) put(value, fenceText string) {
	if value == x.value {
		x.writes = append(x.writes, "seal")
	} else {
		x.writes = append(x.writes, value)
	}
	x.value, x.version = value, x.version+1
	if !x.bare {
		x.fence = fenceText
	}
}

func (x *target) getConfigMap(w http.ResponseWriter) {
	annotations := map[string]string{}
	if x.fence != "" {
		annotations["signalbox.io/fence.DB_READONLY_ENDPOINT"] = x.fence
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "ConfigMap", "apiVersion": "v1",
		"metadata": map[string]any{"name": "core-env", "namespace": "core", "resourceVersion": strconv.Itoa(x.version), "annotations": annotations},
		"data":     map[string]string{"DB_READONLY_ENDPOINT": x.value, "OTHER": strconv.Itoa(x.other)},
	})
}

func (x *target) patchConfigMap(w http.ResponseWriter, r *http.Request) {
	var p mergePatch
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if p.Metadata.ResourceVersion != strconv.Itoa(x.version) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409,"message":"changed"}`)
		return
	}
	value := x.value
	if v, ok := p.Data["DB_READONLY_ENDPOINT"]; ok {
		value = v
	}
	x.put(value, p.Metadata.Annotations["signalbox.io/fence.DB_READONLY_ENDPOINT"])
	x.getConfigMap(w)
}

// step is a flip of the switch to a position, through one of the faces.
func (x *target) step(t *testing.T, face, to string) signalbox.Step {
	t.Helper()
	dir := t.TempDir()
	in := kind.SpecInput{Name: "read-endpoint", Backend: face, Positions: positions, ConfigDir: dir}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", secret)
	write("kubeconfig.yaml", fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
		"clusters":[{"name":"x","cluster":{"server":%q,"certificate-authority-data":%q}}],"users":[{"name":"x","user":{"token":%q}}]}`, x.api, base64.StdEncoding.EncodeToString(x.ca), secret))
	if face == backendHTTP {
		h := newHTTP()
		h.URL = x.url + "/setting"
		if err := json.Unmarshal([]byte(`{"authorization":{"credentials_file":"token"},"follow_redirects":false}`), &h.HTTPClientConfig); err != nil {
			t.Fatal(err)
		}
		in.Settings = h
	} else {
		in.Settings = &ConfigMap{Source: "cluster", Namespace: "core", Name: "core-env", Key: "DB_READONLY_ENDPOINT"}
		in.Source = func(string) (string, kind.Settings, bool) {
			return kube.Kind, &kube.Settings{Kubeconfig: "kubeconfig.yaml"}, true
		}
	}
	raw, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	return signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: to, Spec: raw, Undo: signalbox.UndoAuto}
}

func newRemediator(t *testing.T) *remediator {
	t.Helper()
	r, err := Open(kind.Env{Now: func() time.Time { return now }, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	return r.(*remediator)
}

// claim previews a step and makes its action.
func claim(t *testing.T, r *remediator, s signalbox.Step, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	t.Helper()
	f, err := r.Preview(t.Context(), s)
	if err != nil || f.Refused != "" {
		t.Fatalf("preview: %v, refused: %s", err, f.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: f, Stage: signalbox.Claimed, Token: token, ClaimedAt: now}
}

// undoOf is the action that takes a back.
func undoOf(t *testing.T, r *remediator, a signalbox.Action, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	t.Helper()
	u := claim(t, r, *a.Forecast.Undo, id, token)
	u.Undoes = a.ID
	return u
}

// closeIdle lets the next request make a connection of its own.
func (r *remediator) closeIdle() { r.clients.Close() }

// faces runs a test through both faces.
func faces(t *testing.T, f func(t *testing.T, face string)) {
	for _, face := range []string{backendConfigMap, backendHTTP} {
		t.Run(face, func(t *testing.T) { f(t, face) })
	}
}
