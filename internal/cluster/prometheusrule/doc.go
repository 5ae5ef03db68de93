// Package prometheusrule reads and watches a cluster's PrometheusRule
// resources, which the Prometheus Operator makes rule files of.
//
//	Feed      feed.go      the connection: one informer a namespace, made anew when its credentials change
//	Resource  resource.go  one resource, and the rule file in it
//
// A Feed says what was last known of the resources, and apart from it whether
// that can be trusted now. It judges no rule: that is done by who reads rule
// files. The resource is that of the Prometheus Operator's API,
// monitoring.coreos.com/v1:
// https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule.
package prometheusrule
