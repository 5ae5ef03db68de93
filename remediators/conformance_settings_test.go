package remediators_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	signalbox "github.com/signalbox/signalbox"
)

// desk is a settings service: one object, with an ETag that a write must name.
type desk struct {
	mu     sync.Mutex
	object map[string]json.RawMessage
	field  string
	n      int
	wrote  []string // the values that were written; "(same)": the value stayed
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodPut {
		var next map[string]json.RawMessage
		switch raw, _ := io.ReadAll(r.Body); {
		case r.Header.Get("If-Match") != d.tag():
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		case json.Unmarshal(raw, &next) != nil:
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if text := string(next[d.field]); text == string(d.object[d.field]) {
			d.wrote = append(d.wrote, "(same)")
		} else {
			d.wrote = append(d.wrote, text)
		}
		d.object = next
		d.n++
	}
	w.Header().Set("ETag", d.tag())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(d.object)
}

func (d *desk) tag() string { return fmt.Sprintf(`"v%d"`, d.n) }

func (d *desk) value() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.object[d.field])
}

// set changes the value as a person does.
func (d *desk) set(value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.object[d.field] = json.RawMessage(value)
	d.n++
}

func (d *desk) record() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.wrote)
}

// changes are the writes that changed the value.
func changes(record []string) (n int) {
	for _, w := range record {
		if w != "(same)" {
			n++
		}
	}
	return n
}

// limit is a switch's positions, or a throttle's, and the values at the target.
type limit struct{ before, after, strange string }

func settingEntries() []entry {
	reads := limit{"pg-a.data-plane:5432", "pg-b.data-plane:5432", "pg-c.data-plane:5432"}
	rates := limit{"100/min", "10/min", "77/min"}
	flip := func(where func(b *bench, l limit) string) func(b *bench) {
		return func(b *bench) {
			b.blocks = fmt.Sprintf("switches: {reads: {%s, undo: auto, positions: {a: %q, b: %q}}}", where(b, reads), reads.before, reads.after)
			b.step = "{flip: reads}"
		}
	}
	throttle := func(where func(b *bench, l limit) string) func(b *bench) {
		return func(b *bench) {
			b.blocks = fmt.Sprintf("tools: {payouts: {throttle: {%s, floor: 10, positions: {full: %q, half: 50/min, low: %q}}, undo: auto}}", where(b, rates), rates.before, rates.after)
			b.step = "{throttle: payouts}"
		}
	}
	return []entry{
		{kind: "endpoint", key: "http", move: "b", class: signalbox.ClassA, build: flip(onDesk(true))},
		{kind: "endpoint", key: "http", move: "b", name: "without a place for the fence", class: signalbox.ClassC, build: flip(onDesk(false))},
		{kind: "endpoint", key: "configmap", move: "b", class: signalbox.ClassA, build: flip(onConfigMap), needs: "a real API server"},
		{kind: "endpoint", key: "configmap", move: "b", name: "with restarts", class: signalbox.ClassA, build: flip(withRestarts), needs: "a real API server"},
		{kind: "endpoint", key: "env", move: "b", class: signalbox.ClassA, build: flip(onVariable), needs: "a real API server"},
		{kind: "endpoint", key: "redis", move: "b", class: signalbox.ClassA, build: flip(onRedis), needs: "a real Redis"},
		{kind: "throttle", key: "throttle", move: "low", name: "http", class: signalbox.ClassA, build: throttle(onDesk(true))},
		{kind: "throttle", key: "throttle", move: "low", name: "configmap", class: signalbox.ClassA, build: throttle(onConfigMap), needs: "a real API server"},
		{kind: "throttle", key: "throttle", move: "low", name: "redis", class: signalbox.ClassA, build: throttle(onRedis), needs: "a real Redis"},
	}
}

// onDesk is a setting behind HTTP.
func onDesk(fenced bool) func(b *bench, l limit) string {
	return func(b *bench, l limit) string {
		d := &desk{field: "value", object: map[string]json.RawMessage{"value": json.RawMessage(fmt.Sprintf("%q", l.before)), "limit": json.RawMessage("12345678901234567890")}}
		if fenced {
			d.object["signalbox"] = json.RawMessage("null")
		}
		b.secret("secrets/desk", `hunter2-desk/"<&>+=%`)
		url := b.serve(d, nil)
		b.record, b.value = d.record, d.value
		b.effects = func() int { return changes(d.record()) }
		b.strange = func() { d.set(fmt.Sprintf("%q", l.strange)) }
		return fmt.Sprintf("http: {url: %q, authorization: {credentials_file: secrets/desk}}", url+"/setting")
	}
}

const redisPassword = "hunter2-redis"

// onRedis is a key of a real Redis, whose monitor is its own record.
func onRedis(b *bench, l limit) string {
	const key = "payouts:per_minute"
	r := b.house.redis()
	r.server.Exec("FLUSHALL")
	r.server.Exec("SET", key, l.before)
	r.forget()
	b.secret("secrets/redis", redisPassword)
	d := b.wire(fmt.Sprintf("127.0.0.1:%d", r.server.Port), "exec\r\n")
	b.record = r.writes
	b.value = func() string { return r.server.Exec("GET", key) }
	b.effects = func() (n int) {
		for _, w := range r.writes() {
			if strings.Contains(w, `"`+key+`"`) {
				n++
			}
		}
		return n
	}
	b.strange = func() { r.server.Exec("SET", key, l.strange) }
	return fmt.Sprintf("redis: {address: %q, username: signalbox, password_file: secrets/redis, key: %q}", d.address, key)
}
