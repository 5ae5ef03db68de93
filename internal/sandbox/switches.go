package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// The switches of the company.
const (
	switchReads = "read-endpoint"
	switchCDN   = "cdn-provider"
)

// Bounds of a setting.
const (
	maxSetting = 64 << 10 // bytes of its JSON
	maxValue   = 253      // bytes of its value: a host name fits
)

// setting is the JSON object behind a switch. Fence is the daemon's: it is kept
// as it is given, and null says that there is a place for it.
type setting struct {
	Value string          `json:"value"`
	Fence json.RawMessage `json:"signalbox"`
}

// decodeSetting reads the body of a PUT: the whole object, and nothing that it
// would lose.
func decodeSetting(body []byte) (setting, error) {
	if !utf8.Valid(body) {
		return setting{}, errors.New("setting must be UTF-8")
	}
	var s struct {
		Value *string         `json:"value"`
		Fence json.RawMessage `json:"signalbox"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return setting{}, fmt.Errorf("setting must be a JSON object with value and signalbox: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return setting{}, errors.New("setting must be one JSON object, and more follows")
	}
	switch {
	case s.Value == nil || *s.Value == "":
		return setting{}, errors.New("setting.value must be a string that is not empty")
	case len(*s.Value) > maxValue:
		return setting{}, fmt.Errorf("setting.value must have at most %d bytes, got %d", maxValue, len(*s.Value))
	case strings.ContainsFunc(*s.Value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return setting{}, fmt.Errorf("setting.value must be printable, got %+q", *s.Value)
	case len(s.Fence) == 0:
		s.Fence = json.RawMessage("null")
	case s.Fence[0] != '{' && string(s.Fence) != "null":
		return setting{}, errors.New("setting.signalbox must be an object or null")
	}
	return setting{*s.Value, s.Fence}, nil
}

// switches are the settings behind the HTTP API:
//
//	GET /switches/NAME   200, the object, its strong ETag
//	PUT /switches/NAME   If-Match and the whole object: 200 and the new ETag; 412 when it has
//	                     changed, 428 without If-Match (RFC 9110, RFC 6585)
//
// They are safe for concurrent use; one PUT at a time is compared and written.
type switches struct {
	mu      sync.Mutex
	life    string // tells this process' versions from an earlier one's
	version map[string]int
	current map[string]setting
	// changed is called after each write, in their order.
	changed func(name string, was, is setting)
}

func newSwitches(life string, changed func(name string, was, is setting)) *switches {
	null := json.RawMessage("null")
	return &switches{
		life:    life,
		changed: changed,
		version: map[string]int{},
		current: map[string]setting{switchReads: {endpointA, null}, switchCDN: {cdnMain, null}},
	}
}

// value returns what a switch stands at.
func (s *switches) value(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[name].Value
}

func (s *switches) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /switches", s.list)
	mux.HandleFunc("GET /switches/{name}", s.get)
	mux.HandleFunc("PUT /switches/{name}", s.put)
}

func (s *switches) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	all := maps.Clone(s.current)
	s.mu.Unlock()
	respond(w, http.StatusOK, all)
}

func (s *switches) get(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	s.mu.Lock()
	is, ok := s.current[name]
	tag := s.tag(name)
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "switch %q is not there; there are %v", name, []string{switchCDN, switchReads})
		return
	}
	w.Header().Set("ETag", tag)
	respond(w, http.StatusOK, is)
}

func (s *switches) put(w http.ResponseWriter, r *http.Request) {
	conditions := r.Header.Values("If-Match")
	if len(conditions) == 0 {
		refuse(w, http.StatusPreconditionRequired, "If-Match must be given: get the switch first")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSetting))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "setting must have at most %d bytes", maxSetting)
		return
	}
	wanted, err := decodeSetting(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	name := r.PathValue("name")
	tag, code := s.swap(name, conditions, wanted)
	switch code {
	case http.StatusNotFound:
		refuse(w, code, "switch %q is not there", name)
	case http.StatusPreconditionFailed:
		refuse(w, code, "switch %q has changed: get it again", name)
	default:
		w.Header().Set("ETag", tag)
		respond(w, code, wanted)
	}
}

// swap writes a setting if one of the conditions names its version.
func (s *switches) swap(name string, conditions []string, wanted setting) (tag string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.current[name]
	switch {
	case !ok:
		return "", http.StatusNotFound
	case !matches(conditions, s.tag(name)):
		return "", http.StatusPreconditionFailed
	}
	s.current[name] = wanted
	s.version[name]++
	s.changed(name, was, wanted)
	return s.tag(name), http.StatusOK
}

// tag is the strong ETag of a switch. Every write changes it, also one that
// brings an old object back.
func (s *switches) tag(name string) string { return fmt.Sprintf(`"%s-%d"`, s.life, s.version[name]) }

// matches compares as If-Match does, strongly: a weak tag is none.
func matches(conditions []string, tag string) bool {
	var tags []string
	for _, c := range conditions {
		for t := range strings.SplitSeq(c, ",") {
			tags = append(tags, strings.TrimSpace(t))
		}
	}
	return slices.Contains(tags, tag) || slices.Equal(tags, []string{"*"})
}

// refuse answers with an error for people and programs.
func refuse(w http.ResponseWriter, code int, format string, args ...any) {
	respond(w, code, map[string]string{"error": fmt.Sprintf(format, args...)})
}
