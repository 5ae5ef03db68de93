package policy

// lifts says, for reasons that do not say it themselves, what would change the
// answer.
var lifts = map[string]string{
	"autonomy":   "a reviewed change of the policy's autonomy in the configuration, or signalboxctl restore, if it was demoted",
	"freshness":  "a fresh sample of its own series that shows the breach",
	"needs":      "another independent origin that sees the breach too",
	"onset":      "nothing: what broke before the policy was active is a person's",
	"condition":  "the condition becomes true, or its policy is corrected",
	"health":     "fresh samples that prove the position healthy",
	"budget":     "time, until an earlier action leaves the window",
	"forecast":   "what was found at the target changes; it is looked at again",
	"in_flight":  "the action that holds the target ends",
	"suppressed": "the silence or inhibition ends",
	"match":      "labels that agree with the policy",
	"policy":     "a policy that matches and may act",
	"plan":       "the labels that the plan needs",
	"approval":   "an approval: signalboxctl approvals",
	"suggest":    "a reviewed change of the policy's autonomy to approve or auto",
	"undo_ask":   "signalboxctl undo INCIDENT",
	"gave_up":    "signalboxctl release, of its target or of the incident",
	"verify":     "new samples after the effect",
	"taken":      "signalboxctl release, by the person who took it",
	"hand":       "signalboxctl release, once the target is as it should be",
	"dependency": "the incident that it depends on ends",
	"conflict":   "the other incident ends, or its policy wants the same position",
	"change":     "the deploy or migration ends",
	"blast":      "others of the same failure domain are well again, or their actions are older than the window",
	"flapping":   "time, until it comes less often",
}
