package credentials

// annotationFence is where the fence stands on a SealedSecret: its Value is the
// fingerprint of what was applied, and its Was the version of the Secret before.
const annotationFence = "signalbox.io/fence"
