package calendar

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever a server sends: an error, or times that are near, in order and
// within bounds.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.ics"))
	if err != nil || len(files) == 0 {
		f.Fatalf("there are no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(event("DTSTART:20260401T100000Z", "DURATION:PT1H", "RDATE;VALUE=PERIOD:20260502T100000Z/PT3H", "RRULE:FREQ=YEARLY;BYSETPOS=-1;BYDAY=MO")))
	f.Add([]byte(event("DTSTART;TZID=")))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Parse(text, march, june)
		if err != nil && got != nil || len(got) > maxWindows {
			t.Fatalf("got %d windows and %v", len(got), err)
		}
		for i, w := range got {
			if !w.From.Before(w.To) || !w.To.After(march) || !w.From.Before(june) || w.Name == "" {
				t.Errorf("got %+v", w)
			}
			if i > 0 && w.From.Before(got[i-1].From) {
				t.Errorf("%s stands after %s", w.From, got[i-1].From)
			}
		}
	})
}
