// Package httpclient is how the kinds reach other servers by HTTP: one set of
// rules for the client settings that the configuration gives (Prometheus' own,
// see https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config),
// and one client that is hard to harm.
//
//	Settings   settings.go  url, timeout and the client's settings, with their rules
//	Client     client.go    bounded bodies, no credentials to another host, the server's clock
//	Polite     polite.go    reads public services again and again, without being a burden
//	Error      errors.go    what went wrong, without address, credentials or a foreign body
//	Redact     redact.go    what a server echoes of our credentials is not told
//
// A secret never stands in the configuration, but in a file that it names; an
// answer is never trusted to end, to be JSON, or to be short.
package httpclient
