package ctl

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/internal/journal"
)

// The tool tells of each part of an archive, and what lies between.
func TestJournalVerifyTellsOfAllParts(t *testing.T) {
	r := journal.Report{First: 80_001, Last: 90_000, Base: 80_500, Checkpoints: 2, Records: 7}
	for want, parts := range map[string][]journal.Span{
		"archive and store: entries 80001 to 90000 follow each other, and fold to the 7 records of the state, 2 checkpoints on the way\n": nil,
		"archive and store: entries 80001 to 90000 follow each other, and fold to the 7 records of the state, 2 checkpoints on the way\n" +
			"  entries 50001 to 80000 are not here: another replica archived them\n" +
			"  entries 2001 to 50000 follow each other\n" +
			"  entries 1001 to 2000 are not here: another replica archived them\n" +
			"  entries 1 to 1000 follow each other\n": {{First: 1, Last: 1000}, {First: 2001, Last: 50_000}},
	} {
		r.Parts = parts
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		f := newFake(t, http.StatusOK, string(b))
		if out, errs, code := run(t, "--server", f.URL, "journal", "verify"); code != OK || out != want {
			t.Errorf("exit code %d, %s got\n%swant\n%s", code, errs, out, want)
		}
		out, errs, code := run(t, "--server", f.URL, "-o", "json", "journal", "verify")
		var said struct{ Report journal.Report }
		if err := json.Unmarshal([]byte(out), &said); err != nil || code != OK || said.Report.Last != 90_000 || !slices.Equal(said.Report.Parts, parts) {
			t.Errorf("exit code %d, %s, %v: got %s", code, errs, err, out)
		}
	}
}
