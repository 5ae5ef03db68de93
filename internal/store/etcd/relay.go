package etcd

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// relay passes the member's log on to ours, and remembers its last complaint.
type relay struct {
	log    *slog.Logger
	ending atomic.Bool // what it says while it ends as asked is of no interest

	mu        sync.Mutex
	complaint string
	weight    slog.Level
}

// maxLine bounds one line of the member's log, and maxComplaint what is kept.
const (
	maxLine      = 64 << 10
	maxComplaint = 500
)

// copy reads lines until r ends. It never stops early: a full pipe would stop
// the member.
func (r *relay) copy(from io.Reader) {
	lines := bufio.NewReaderSize(from, maxLine)
	for {
		line, long, err := lines.ReadLine()
		if err != nil {
			return
		}
		r.line(string(line))
		for long && err == nil {
			_, long, err = lines.ReadLine()
		}
	}
}

// line passes one line on. What is not JSON is the Go runtime's or an
// outcry: a panic, and the stacks after it.
func (r *relay) line(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	level, msg, attrs, ok := parseLine(line)
	if !ok {
		level, msg = slog.LevelDebug, line
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			level = levelFatal
		}
	}
	if r.ending.Load() || slices.Contains(expected, msg) || tooEarly(attrs) {
		level = min(level, slog.LevelDebug)
	}
	r.remember(level, msg, attrs)
	r.log.LogAttrs(context.Background(), level, msg, append(attrs, slog.String("component", "store-member"))...) //nolint:sloglint // the member's own words
}

// remember keeps the gravest line, and of equals the last.
func (r *relay) remember(level slog.Level, msg string, attrs []slog.Attr) {
	if level < slog.LevelError {
		return
	}
	for _, a := range attrs {
		if a.Key == "error" {
			msg += ": " + a.Value.String()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if level >= r.weight {
		r.weight, r.complaint = level, msg[:min(len(msg), maxComplaint)]
	}
}

func (r *relay) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complaint
}

// expected warnings are said at each start of a member that serves clients on
// a unix socket, without etcd's own authentication.
var expected = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"simple token is not cryptographically signed",
}

// tooEarly reports whether etcd looked for the version of its file before the
// first entry of a new store was there: it looks again after some seconds.
func tooEarly(attrs []slog.Attr) bool {
	return slices.ContainsFunc(attrs, func(a slog.Attr) bool {
		return a.Key == "error" && strings.HasSuffix(a.Value.String(), "missing term information")
	})
}

// levelFatal is what etcd ends its process after.
const levelFatal = slog.LevelError + 4

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	"dpanic": levelFatal, "panic": levelFatal, "fatal": levelFatal,
}

// parseLine reads a line as etcd (zap) and RunMember (slog) write them.
func parseLine(line string) (slog.Level, string, []slog.Attr, bool) {
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		return 0, "", nil, false
	}
	name, _ := fields["level"].(string)
	level, known := levels[strings.ToLower(name)]
	msg, hasMsg := fields["msg"].(string)
	if !known || !hasMsg {
		return 0, "", nil, false
	}
	for _, key := range []string{"level", "msg", "ts", "time", "caller", "stacktrace"} {
		delete(fields, key)
	}
	var attrs []slog.Attr
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		attrs = append(attrs, slog.Any(key, fields[key]))
	}
	return level, msg, attrs, true
}
