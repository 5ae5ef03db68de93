//go:build !race

package engine_test

// underRace says that the race detector watches, which makes all of it slower.
const underRace = false
