// Package bench measures the daemon as it is run: over its own HTTP server and
// its own embedded store, next to what the store alone costs. Benchmarks of one
// room stand in that room. README.md has the figures and how to read them.
package bench
