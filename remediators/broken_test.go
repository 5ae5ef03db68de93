package remediators_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/detectors/kubernetes"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/remediators"
)

var update = flag.Bool("update", false, "write the .want files anew")

// TestBroken loads each configuration whose settings of remediators break their
// rules; what is wrong is in the .want file beside it, word for word and to the
// last error.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	kinds := config.Kinds{Sources: []kind.Source{prometheus.Kind(), kubernetes.Kind()}, Remediators: remediators.Kinds()}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := config.Load(path, kinds, config.Options{SecretsElsewhere: true})
			if err == nil {
				t.Fatal("it was accepted")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/broken/", "") + "\n"
			if *update {
				if err := os.WriteFile(path+".want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path + ".want")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
