// Package config reads the configuration: strict YAML in one file or in the
// files of a directory, to validated values, or to every error at once.
//
// The way of the data is
//
//	files -> tree (read.go, tree.go)     each node keeps its file and line; files are merged
//	      -> hygiene (secret.go)         no secret in the file; named files and variables are there
//	      -> values (decode.go)          by reflection into the structs of keys.go and of the kinds
//	      -> Config (resolve_*.go)       references, defaults, rules between keys
//
// A spot (spot.go) is a place in the tree on the way down; whatever is wrong is
// reported on it and becomes a Problem, "file:line: path: rule, value". Nothing
// stops at the first problem.
//
// The kinds of sources and remediators are passed in as tables, and bring the
// structs that their keys decode into; this package knows none by name. Three
// rules hold for the names of keys of any kind:
//
//   - a key that ends in _file, and kubeconfig, names a file, relative to the
//     configuration's directory, which must be there; a key that ends in _env
//     names an environment variable, which must be set;
//   - a key source in a switch's backend names a source;
//   - a key that holds a secret itself is refused.
//
// No secret is read here, so that none can be in an error, in a log line or in
// the Config. The JSON Schema of the files (schema.go) is made from the same
// structs.
package config

//go:generate go test -run ^TestSchema$ . -args -update
