package etcd

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRelay(t *testing.T) {
	for name, tt := range map[string]struct {
		lines     string
		logged    []string
		complaint string
	}{
		"etcd's": {
			`{"level":"fatal","ts":"2026-01-01T00:00:00Z","caller":"x.go:1","msg":"failed to commit tx","error":"no space","n":3}` + "\n",
			[]string{`level=ERROR+4 msg="failed to commit tx" error="no space" n=3 component=store-member`},
			"failed to commit tx: no space",
		},
		"our own": {
			`{"time":"2026-01-01T00:00:00Z","level":"ERROR","msg":"the member ends","error":"x"}` + "\n",
			[]string{`level=ERROR msg="the member ends" error=x component=store-member`},
			"the member ends: x",
		},
		"the gravest counts": {
			`{"level":"fatal","msg":"first"}` + "\n" + `{"level":"error","msg":"second"}` + "\n", []string{"first", "second"}, "first",
		},
		"a panic": {
			"panic: out of luck\n\ngoroutine 1 [running]:\n",
			[]string{`level=ERROR+4 msg="panic: out of luck"`, `level=DEBUG msg="goroutine 1 [running]:"`},
			"panic: out of luck",
		},
		"warnings": {`{"level":"warn","msg":"slow"}` + "\n", []string{"level=WARN msg=slow"}, ""},
		"expected": {`{"level":"warn","msg":"simple token is not cryptographically signed"}` + "\n", []string{"level=DEBUG"}, ""},
		"a new store": {
			`{"level":"error","msg":"failed to update storage version","error":"cannot detect storage schema version: missing term information"}` + "\n",
			[]string{"level=DEBUG"},
			"",
		},
		"unknown level":  {`{"level":"loud","msg":"m"}` + "\n", []string{"level=DEBUG"}, ""},
		"a long line":    {strings.Repeat("x", 3*maxLine) + "\n" + `{"level":"warn","msg":"next"}` + "\n", []string{"msg=next"}, ""},
		"long complaint": {`panic: ` + strings.Repeat("y", 2*maxComplaint) + "\n", nil, "panic: " + strings.Repeat("y", maxComplaint-7)},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := &relay{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
			r.copy(strings.NewReader(tt.lines))
			for _, want := range tt.logged {
				if !strings.Contains(out.String(), want) {
					t.Errorf("logged %s, want %q", out.String(), want)
				}
			}
			if got := r.last(); got != tt.complaint {
				t.Errorf("last() = %q, want %q", got, tt.complaint)
			}
		})
	}
}

func FuzzRelay(f *testing.F) {
	f.Add(`{"level":"fatal","msg":"m","error":{"a":[1]}}`)
	f.Add("panic: x")
	f.Add("\x00{")
	f.Fuzz(func(t *testing.T, lines string) {
		r := &relay{log: slog.New(slog.DiscardHandler)}
		r.copy(strings.NewReader(lines))
		if len(r.last()) > maxComplaint {
			t.Errorf("a complaint of %d bytes is kept", len(r.last()))
		}
	})
}

func TestMemberEnv(t *testing.T) {
	got := memberEnv([]string{"PATH=/bin", "PAGER_TOKEN=secret", "GOMEMLIMIT=1GiB", "ETCD_NAME=x", "odd"})
	if strings.Join(got, " ") != "PATH=/bin GOMEMLIMIT=1GiB" {
		t.Errorf("memberEnv() = %q", got)
	}
}

func TestBadSettings(t *testing.T) {
	for _, stdin := range []string{"", "{\n", "{}"} {
		var out bytes.Buffer
		err := runMember(t.Context(), slog.New(slog.DiscardHandler), strings.NewReader(stdin), &out)
		if err == nil || !strings.Contains(err.Error(), "settings on stdin") || out.Len() > 0 {
			t.Errorf("a member told %q: %v", stdin, err)
		}
	}
}

func TestPeerFiles(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	read := func() string {
		info, err := peerTLS(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := info.ServerConfig(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(info.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := read()
	if read() != first {
		t.Error("the certificate was made anew at the second start")
	}
	now = now.Add(peerValidity - peerRenewal + time.Hour)
	second := read()
	if second == first {
		t.Error("a certificate that soon ends was not made anew")
	}
	if err := os.WriteFile(filepath.Join(dir, "peer.crt"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third := read(); third == second || third == "half" {
		t.Error("a broken certificate was not made anew")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v (%v), want ca.crt, peer.crt and peer.key: no key of the CA, no leftovers", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}
