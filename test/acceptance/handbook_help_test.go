package acceptance

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
)

// handbookExcerpt is a configuration that is made of blocks of the Ops Handbook,
// taken by their names. A story changes in them what it must: where servers are,
// and times, so that it fits into a minute.
type handbookExcerpt struct {
	t   *testing.T
	all map[string]any
	out map[string]any
}

func newHandbookExcerpt(t *testing.T) *handbookExcerpt {
	t.Helper()
	e := &handbookExcerpt{t: t, all: map[string]any{}, out: map[string]any{}}
	for _, name := range []string{"owners.yaml", "sources.yaml", "detectors.yaml", "switches.yaml", "policies.yaml", "evidence.yaml"} {
		var file map[string]any
		if err := yaml.Unmarshal([]byte(handbook(t, name)), &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		maps.Copy(e.all, file)
	}
	return e
}

// take puts the block of a name into the excerpt, as change leaves it.
func (e *handbookExcerpt) take(kind, name string, change func(block map[string]any)) {
	e.t.Helper()
	switch blocks := e.all[kind].(type) {
	case map[string]any:
		if block, ok := blocks[name].(map[string]any); ok {
			change(block)
			handbookBlock(e.out, kind)[name] = block
			return
		}
	case []any:
		i := slices.IndexFunc(blocks, func(b any) bool { return b.(map[string]any)["name"] == name })
		if i >= 0 {
			block := blocks[i].(map[string]any)
			change(block)
			out, _ := e.out[kind].([]any)
			e.out[kind] = append(out, block)
			return
		}
	}
	e.t.Fatalf("the handbook has no %s %q", kind, name)
}

// whole puts all blocks of a kind into the excerpt.
func (e *handbookExcerpt) whole(kind string) {
	e.t.Helper()
	if e.all[kind] == nil {
		e.t.Fatalf("the handbook has no %s", kind)
	}
	e.out[kind] = e.all[kind]
}

// write makes the excerpt a part of a daemon's configuration.
func (e *handbookExcerpt) write(b *box) {
	e.t.Helper()
	text, err := json.Marshal(e.out) // which is YAML too
	if err != nil {
		e.t.Fatal(err)
	}
	b.write("handbook.yaml", string(text))
}

// handbookBlock finds a block in a block, and makes it where it is not there.
func handbookBlock(block map[string]any, path ...string) map[string]any {
	for _, key := range path {
		inner, ok := block[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			block[key] = inner
		}
		block = inner
	}
	return block
}

// handbookSoon lets a detector of the handbook look each second, and see a change after
// two.
func handbookSoon(detector map[string]any) {
	detector["interval"] = "1s"
	handbookBlock(detector, "breach")["for"] = "2s"
	handbookBlock(detector, "clear")["for"] = "2s"
}

// step is the step of a policy that has a key: the first one.
func (e *handbookExcerpt) step(policy map[string]any, key string) map[string]any {
	e.t.Helper()
	for _, s := range policy["runbook"].([]any) {
		if step := s.(map[string]any); step[key] != nil {
			return step
		}
	}
	e.t.Fatalf("policy %s has no step %q", policy["name"], key)
	return nil
}
