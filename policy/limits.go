package policy

// Ineffective is how many actions that did not help stop a target.
func (h *Handbook) Ineffective() int { return h.config.Ineffective }
