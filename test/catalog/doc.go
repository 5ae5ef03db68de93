// Package catalog shows detectors of the catalogue on real servers: what is ill
// is made ill in PostgreSQL, Redis or RabbitMQ, their exporters tell a real
// Prometheus, and the detector, as a configuration includes it, says so.
package catalog
