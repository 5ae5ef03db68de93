package grafana

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// What Grafana tells of a rule that it could not judge.
// See https://grafana.com/docs/grafana/latest/alerting/fundamentals/alert-rule-evaluation/stale-alert-instances/
// and https://grafana.com/docs/grafana/latest/alerting/fundamentals/alert-rule-evaluation/nodata-and-error-states/.
const (
	noDataAlert = "DatasourceNoData" // alertname in place of the rule's
	errorAlert  = "DatasourceError"
	ruleName    = "rulename" // the label that keeps the rule's name then
	sourceUID   = "datasource_uid"
	stateReason = "grafana_state_reason" // annotation: why the state is not what the condition gave
)

// blind are the reasons under which a firing alert was not found to fire, but
// is made so by the rule's settings, or kept so.
var blind = []string{"NoData", "Error", "KeepLast", "MissingSeries"}

// isStandIn reports whether an alert only says that a rule can't be judged.
func isStandIn(labels map[string]string) bool {
	name := labels[model.AlertNameLabel]
	return (name == noDataAlert || name == errorAlert) && (labels[ruleName] != "" || labels[sourceUID] != "")
}

// judged makes Unknown of what Grafana tells without having judged its rule:
// it is no breach, and its end is no health.
//
//   - a stand-in alert (DatasourceNoData, DatasourceError) is the rule being
//     Unknown, since its startsAt. It takes the rule's name again, so that the
//     rule's detector selects it.
//   - an alert that fires because of no data or an error is Unknown
//   - an alert that ended for any reason but its condition (its series is
//     gone, its rule was paused, changed or deleted) is Unknown
func judged(a *alerts.Alert, r signalbox.Reading) signalbox.Reading {
	reason := a.Annotations[stateReason]
	if reason == "" {
		reason = a.Labels[stateReason]
	}
	ended := r.Condition == signalbox.Clear
	switch {
	case isStandIn(a.Labels):
		return standIn(a, r)
	case ended && reason != "":
		return unknown(r, "Grafana ended it for the reason "+plainReason(reason)+", not because its condition is no longer met")
	case !ended && hasReason(reason, blind...):
		return unknown(r, "Grafana has it fire for the reason "+plainReason(reason)+", not because its condition is met")
	}
	return r
}

func standIn(a *alerts.Alert, r signalbox.Reading) signalbox.Reading {
	ended, why := r.Condition == signalbox.Clear, "has no data"
	if a.Labels[model.AlertNameLabel] == errorAlert {
		why = "can't be evaluated"
	}
	rule := a.Labels[ruleName]
	if rule != "" {
		r.Labels = maps.Clone(r.Labels)
		r.Labels[model.AlertNameLabel] = rule
	}
	r = unknown(r, "Grafana's rule "+plainReason(rule)+" "+why)
	if !ended {
		r.Since = r.OnsetAt
		return r
	}
	r.Reason = "Grafana's rule " + plainReason(rule) + " can be judged again"
	return r
}

// unknown keeps what the reading is about, and takes back what it claims.
func unknown(r signalbox.Reading, reason string) signalbox.Reading {
	r.Condition, r.Reason, r.EndedAt = signalbox.Unknown, reason, time.Time{}
	return r
}

// hasReason reports whether one of the reasons is among those of a state:
// Grafana joins several with commas ("Error, KeepLast").
func hasReason(reason string, any ...string) bool {
	for one := range strings.SplitSeq(reason, ",") {
		if slices.Contains(any, strings.TrimSpace(one)) {
			return true
		}
	}
	return false
}

func plainReason(s string) string { return httpclient.Plain(s, 120) }
