package items

import "testing"

// A pattern that may begin with a dash is known from one that can't.
func TestMayBegin(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"evt_[0-9a-z]{8}": false, "[0-9a-f-]+": true, "[0-9a-f][0-9a-f-]*": false, ".*": true, "[^-].*": false, "-x": true, "a|-b": true,
		"(?:x?)-": true, "x*y": false, "(?:|-)a": true, `\W+`: true, `\w+`: false, "(?i)[a-z]+": false, `[+-]?\d+`: true, `\b[^a]`: true, `(?s).`: true, "": false,
		"^evt$": false, "(a|b|(c|-))d": true,
	} {
		got, err := MayBegin(pattern, '-')
		if err != nil || got != want {
			t.Errorf("%q: got %t, %v, want %t", pattern, got, err, want)
		}
		// What it rules out does not match.
		for _, text := range []string{"-", "-x", "--event", "-1", "-a-"} {
			if whole, err := Whole(pattern); err != nil || whole.MatchString(text) && !got {
				t.Errorf("%q matches %q, %v", pattern, text, err)
			}
		}
	}
	if _, err := MayBegin("(", '-'); err == nil {
		t.Error("it is no regular expression")
	}
}
