package config

import "strings"

// nearest returns the known word that a mistyped one most likely meant; "":
// none is near enough.
func nearest(word string, known []string) string {
	best, least := "", (len(word)+2)/4+1
	for _, k := range known {
		if d := edits(strings.ToLower(word), k, least); d < least {
			best, least = k, d
		}
	}
	return best
}

// edits counts the letters to insert, remove, replace or swap with the next to
// make b of a (optimal string alignment); limit or more is as good as limit.
func edits(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

const didYouMean = "is not a known key, did you mean "

// noKey reports whether the problem is a key that is not taken at all.
func (p Problem) noKey() bool {
	return strings.HasPrefix(p.Rule, "is not a known key") || p.Rule == ruleLater || p.Rule == ruleSecret
}

// meant is the path that the unknown key of a problem most likely meant.
func meant(p Problem) string {
	quoted, ok := strings.CutPrefix(p.Rule, didYouMean)
	if !ok {
		return ""
	}
	return join(parent(p.Path), strings.Trim(quoted, `"`))
}

// parent is the path without its last key.
func parent(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}
