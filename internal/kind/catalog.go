package kind

// Catalog holds ready-made detectors, by name.
type Catalog interface {
	// Names are in order.
	Names() []string
	// Entry returns one; false: there is none of that name.
	Entry(name string) (Entry, bool)
}

// Entry is one ready-made detector.
type Entry struct {
	Name string
	Kind string // of the source that it asks
	// Keys returns the keys of the detector, in the YAML of a configuration,
	// for the values that its parameters are given. A value that breaks a rule
	// is reported by its parameter's name, and nothing is returned.
	Keys func(with map[string]any, fail Fail) []byte
}
