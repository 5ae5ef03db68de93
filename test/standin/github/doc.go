// Package github is a stand-in for the parts of GitHub's REST API that list
// workflows and their runs, dispatch and cancel them, and tell of jobs,
// deployments, tags and comparisons, for tests. It keeps the meaning of the real
// one:
//
//   - lists are filtered by branch and event, newest created first, in pages
//   - each answer has an ETag; a request that names it is answered 304, which
//     costs nothing of the rate limit where the request is authenticated
//   - each answer tells what is left of the rate limit, and at 0 the next
//     request is refused with 403 until the reset, in seconds from 1970
//   - a dispatch makes a run, whose name shows an input where the workflow says
//     so, and which is listed after a lag; a second dispatch makes a second run
//   - a run is cancelled while it has not ended, and refused with 409 after that
//
// With the path of GitHub's own OpenAPI description it also holds each request,
// and each of its own answers, to that, except for comparisons and single
// commits, which the description at hand leaves out. Faults are scripted: see Fail.
package github
