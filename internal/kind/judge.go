package kind

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
)

// What the judges of all kinds say in the same way. It is pure.

// Unknown returns r as one that says nothing of its series, and why.
func Unknown(r signalbox.Reading, why string) signalbox.Reading {
	r.Condition, r.HasValue, r.Value = signalbox.Unknown, false, 0
	r.Reason, r.Summary = why, r.Subject+": unknown, "+why
	return r
}

// MissingLabel is why a reading whose subject can't be named is Unknown.
func MissingLabel(name string) string {
	return "the label " + name + ", which its subject is made of, is missing or empty"
}

// Faulty says why nothing can be read from an answer; "" when it can. With a
// warning a part of the data may be missing.
func Faulty(a signalbox.Answer) string {
	switch {
	case a.Err != nil:
		return a.Err.Error()
	case len(a.Warnings) > 0:
		return "the answer may be partial: " + a.Warnings[0]
	}
	return ""
}

// Kept are those of a series' labels that its incidents keep: the configured
// ones; all but the metric's name, where none are.
func (c *Common) Kept(all map[string]string) map[string]string {
	if len(c.Labels) == 0 {
		kept := maps.Clone(all)
		delete(kept, model.MetricNameLabel)
		return kept
	}
	kept := make(map[string]string, len(c.Labels))
	for _, n := range c.Labels {
		if v, ok := all[n]; ok {
			kept[n] = v
		}
	}
	return kept
}

// SeriesID is a stable hash of all labels, so that two series that share a
// subject, or the labels that are kept, stay two. No label can forge another's.
func SeriesID(labels map[string]string) string {
	b := make([]byte, 0, 256)
	for _, n := range slices.Sorted(maps.Keys(labels)) {
		for _, text := range [...]string{n, labels[n]} {
			b = strconv.AppendInt(b, int64(len(text)), 10)
			b = append(b, ':')
			b = append(b, text...)
		}
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
