package config

// Update is the flag -update of the tests.
func Update() bool { return *update }
