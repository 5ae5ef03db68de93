package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad: whatever the bytes are, Load returns a Config or Problems, each
// with a place in the file, and is not confused by a second look.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/broken/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("\r\r0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		opts := Options{LookupEnv: testEnv, SecretsElsewhere: true}
		cfg, err := Load(path, testKinds(), opts)
		again, err2 := Load(path, testKinds(), opts)
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("two answers:\n%v\n%v", err, err2)
		}
		if err == nil {
			if cfg.Hash != again.Hash || len(cfg.Detectors) == 0 {
				t.Fatalf("a valid configuration without detectors, or with two hashes: %v", cfg)
			}
			return
		}
		var ps Problems
		if !errors.As(err, &ps) || len(ps) == 0 {
			t.Fatalf("the error must be Problems, got %T: %v", err, err)
		}
		lines := 1
		for _, c := range string(text) {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", c) { // YAML's line breaks
				lines++
			}
		}
		for _, p := range ps {
			if p.Place.File != path || p.Place.Line < 1 || p.Place.Line > lines+1 || p.Rule == "" {
				t.Fatalf("no place in %d lines: %+v", lines, p)
			}
		}
	})
}

// FuzzNearest: the distance is one.
func FuzzNearest(f *testing.F) {
	f.Add("breech", "breach")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 50 || len(b) > 50 {
			return
		}
		d, back := edits(a, b, 100), edits(b, a, 100)
		if d != back || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("edits(%q, %q) = %d, and back %d", a, b, d, back)
		}
	})
}
