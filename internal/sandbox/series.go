package sandbox

import "github.com/prometheus/prometheus/model/labels"

// sample is one value of one series; its time is that of the scrape.
type sample struct {
	labels labels.Labels
	value  float64
}

// env is the environment that the company is.
const env = "prod"

func series(name string, value float64, pairs ...string) sample {
	return sample{labels.FromStrings(append([]string{labels.MetricName, name, "env", env}, pairs...)...), value}
}

// samples is what a scrape of the whole company finds. Names and units follow
// Prometheus' conventions.
func (s state) samples() []sample {
	out := []sample{
		series("up", 1, "job", "pg", "instance", "pg-a.data-plane:9187"),
		series("up", 1, "job", "pg", "instance", "pg-b.data-plane:9187"),
		series("up", 1, "job", "psp-webhooks", "instance", "psp-webhooks:8080"),
		series("up", 1, "job", "cdn-probe", "instance", "cdn-probe:9115"),
	}
	out = append(out, s.databaseSamples()...)
	out = append(out, s.paymentSamples()...)
	return append(out, s.cdnSamples()...)
}

func (s state) databaseSamples() []sample {
	out := []sample{
		series("pg_replication_lag_seconds", s.lag(0), "cluster", "eu", "replica", "replica-a"),
		series("pg_replication_lag_seconds", s.lag(1), "cluster", "eu", "replica", "replica-b"),
		series("reads_errors_ratio", s.readsErrors(), "cluster", "eu"),
	}
	if lag, ok := s.readsLag(); ok { // who reaches no replica sees no lag either
		out = append(out, series("reads_lag_seconds", lag, "cluster", "eu"))
	}
	return out
}

func (s state) paymentSamples() []sample {
	const psp = "acquirer"
	return []sample{
		series("psp_webhook_queue_depth", s.waiting, "psp", psp),
		series("psp_webhook_oldest_age_seconds", s.webhookAge(), "psp", psp),
		series("psp_webhook_failure_ratio", s.pspErrors(), "psp", psp),
		series("psp_webhooks_total", s.delivered, "psp", psp, "result", "delivered"),
		series("psp_webhooks_total", s.failed, "psp", psp, "result", "failed"),
		series("payouts_created_total", s.payouts, "psp", psp),
		series("payouts_failed_total", s.payoutsFailed, "psp", psp),
	}
}

func (s state) cdnSamples() []sample {
	var out []sample
	for pop, name := range [popCount]string{popFRA: "fra", popLHR: "lhr", popIAD: "iad"} {
		out = append(
			out,
			series("cdn_pop_error_ratio", s.popErrors(pop), "pop", name),
			series("cdn_requests_total", s.requests[pop]-s.requestsFailed[pop], "pop", name, "code", "200"),
			series("cdn_requests_total", s.requestsFailed[pop], "pop", name, "code", "503"),
			series("cdn_probe_error_ratio", s.providerErrors(cdnMain, pop), "pop", name, "provider", "main"),
			series("cdn_probe_error_ratio", s.providerErrors(cdnBackup, pop), "pop", name, "provider", "backup"),
		)
	}
	return out
}
