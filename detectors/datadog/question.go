package datadog

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What can be asked.
const (
	asksHistory = "slo/history" // the burn of an SLO over a window
	asksState   = "slo/state"   // what Datadog's index says of an SLO
	asksMonitor = "monitor"
	asksLogs    = "logs"
)

// Bounds of what can be asked.
const (
	maxWindow  = 90 * 24 * time.Hour
	leastRange = time.Minute
	maxName    = 1024
)

// question is one thing to ask, which stands in signalbox.Question.Query as
// "what?key=value&…": equal ones are equal texts.
type question struct {
	what string

	// of an SLO
	id        string
	name      string        // where there is no id
	timeframe string        // 7d, 30d or 90d; "": the SLO's own, the shortest
	target    float64       // per cent; 0: the SLO's own
	window    time.Duration // 0: the timeframe's length

	monitor int64
	groups  bool

	logs    string // the query
	over    time.Duration
	by      []string // facets
	indexes []string
}

// text is the question in one line.
func (q question) text() string {
	v := url.Values{}
	set := func(key, value string, zero bool) {
		if !zero {
			v.Set(key, value)
		}
	}
	set("id", q.id, q.id == "")
	set("name", q.name, q.name == "")
	set("timeframe", q.timeframe, q.timeframe == "")
	set("target", strconv.FormatFloat(q.target, 'g', -1, 64), q.target == 0)
	set("window", q.window.String(), q.window == 0)
	set("monitor", strconv.FormatInt(q.monitor, 10), q.monitor == 0)
	set("groups", "true", !q.groups)
	set("query", q.logs, q.logs == "")
	set("over", q.over.String(), q.over == 0)
	for _, facet := range q.by {
		v.Add("by", facet)
	}
	for _, index := range q.indexes {
		v.Add("index", index)
	}
	return q.what + "?" + v.Encode()
}

// parseQuestion reads what text wrote.
func parseQuestion(text string) (question, error) {
	what, rest, _ := strings.Cut(text, "?")
	v, err := url.ParseQuery(rest)
	if err != nil {
		return question{}, fmt.Errorf("the question can't be read")
	}
	q := question{
		what: what, id: v.Get("id"), name: v.Get("name"), timeframe: v.Get("timeframe"),
		groups: v.Get("groups") == "true", logs: v.Get("query"), by: v["by"], indexes: v["index"],
	}
	if s := v.Get("target"); s != "" {
		q.target, err = strconv.ParseFloat(s, 64)
	}
	if s := v.Get("window"); s != "" && err == nil {
		q.window, err = time.ParseDuration(s)
	}
	if s := v.Get("over"); s != "" && err == nil {
		q.over, err = time.ParseDuration(s)
	}
	if s := v.Get("monitor"); s != "" && err == nil {
		q.monitor, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil {
		return question{}, fmt.Errorf("the question holds a figure that can't be read")
	}
	return q, q.check()
}

// check holds a question to what can be asked.
func (q question) check() error {
	ok := false
	switch q.what {
	case asksHistory, asksState:
		ok = (q.id == "") != (q.name == "") && q.target >= 0 && q.target < 100 &&
			(q.window == 0 || q.window >= leastRange && q.window <= maxWindow) &&
			(q.timeframe == "" || slices.Contains(timeframes, q.timeframe))
	case asksMonitor:
		ok = q.monitor > 0
	case asksLogs:
		ok = q.logs != "" && q.over >= leastRange && q.over <= maxWindow
	}
	if !ok || len(q.id)+len(q.name) > maxName {
		return fmt.Errorf("there is no such question")
	}
	return nil
}

// timeframes are those that an SLO can have, the shortest first.
var timeframes = []string{"7d", "30d", "90d"}

func lengthOf(timeframe string) time.Duration {
	switch timeframe {
	case "7d":
		return 7 * 24 * time.Hour
	case "30d":
		return 30 * 24 * time.Hour
	case "90d":
		return 90 * 24 * time.Hour
	}
	return 0
}
