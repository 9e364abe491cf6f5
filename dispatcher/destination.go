package dispatcher

// destination is what a lane knows about where it sends: how attempts ended, whether it may start more, and its pace.
// The routes that follow each other under one name share it while their tenant is the same; another tenant's begins
// anew, and the attempts that are still under way report to the one they began with. So nothing of one tenant shows
// under another.
type destination struct {
	record record
	hold   hold
	pace   pacer
}
