package signalbox

import "strings"

// Census counts what one detector says of its subjects, in one group of them.
type Census struct {
	Known    int // distinct subjects of which there is a reading
	Breached int // of these, those with a series that is breached
	Unknown  int // of these, those with no series that is known
}

// census keeps the counts of one detector, grouped by the values of labels.
type census struct {
	by     []string
	groups map[string]*censusGroup
}

type censusGroup struct {
	subjects map[string]*tally
	breached int // subjects
	unknown  int
}

// tally counts the series of one subject.
type tally struct{ series, breached, unknown int }

func (t *tally) allUnknown() bool { return t.unknown == t.series }

// CountBy keeps, from now on, a census of a detector's subjects, grouped by the
// values of labels. The counts of detectors that are not asked for cost nothing.
func (f *Facts) CountBy(detector string, labels []string) {
	key := strings.Join(labels, "\x00")
	if f.censuses[detector] == nil {
		f.censuses[detector] = map[string]*census{}
	}
	if f.censuses[detector][key] != nil {
		return
	}
	c := &census{by: labels, groups: map[string]*censusGroup{}}
	f.censuses[detector][key] = c
	for _, r := range f.readings[detector] {
		c.count(r, 1)
	}
}

// Census returns the counts of the group to which labels belong; false: it is
// not kept.
func (f *Facts) Census(detector string, labels map[string]string, by []string) (Census, bool) {
	c := f.censuses[detector][strings.Join(by, "\x00")]
	if c == nil {
		return Census{}, false
	}
	g := c.groups[groupOf(labels, by)]
	if g == nil {
		return Census{}, true
	}
	return Census{Known: len(g.subjects), Breached: g.breached, Unknown: g.unknown}, true
}

func groupOf(labels map[string]string, by []string) string {
	var b strings.Builder
	for _, name := range by {
		b.WriteString(labels[name])
		b.WriteByte(0)
	}
	return b.String()
}

// counted takes a reading in (n is 1) or out (-1) of the censuses kept.
func (f *Facts) counted(r *Reading, n int) {
	for _, c := range f.censuses[r.Detector] {
		c.count(r, n)
	}
}

func (c *census) count(r *Reading, n int) {
	key := groupOf(r.Labels, c.by)
	g := c.groups[key]
	if g == nil {
		g = &censusGroup{subjects: map[string]*tally{}}
		c.groups[key] = g
	}
	t := g.subjects[r.Subject]
	if t == nil {
		t = &tally{}
		g.subjects[r.Subject] = t
	} else {
		g.weigh(t, -1)
	}
	t.series += n
	switch r.Condition {
	case Breached:
		t.breached += n
	case Unknown:
		t.unknown += n
	case Clear:
	}
	if t.series > 0 {
		g.weigh(t, 1)
		return
	}
	delete(g.subjects, r.Subject)
	if len(g.subjects) == 0 {
		delete(c.groups, key)
	}
}

func (g *censusGroup) weigh(t *tally, n int) {
	if t.breached > 0 {
		g.breached += n
	}
	if t.allUnknown() {
		g.unknown += n
	}
}
