package queuetest

import (
	"errors"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// rule is one promise of a queue.
type rule struct {
	name  string
	text  string
	needs func(p *probe) string // why the rule does not apply, "" = it does; nil = it always does
	check func(p *probe)
}

// run checks the rule, or returns why it does not apply.
func (r rule) run(p *probe) string {
	defer p.end()
	if r.needs != nil {
		if reason := r.needs(p); reason != "" {
			return reason
		}
	}
	r.check(p)
	p.finish()
	return ""
}

// rules is the table of what a queue promises. The numbers group them: Q1 storing, Q2 ids, Q3 content, Q4 times, Q5
// concurrency, Q6 dispositions, Q7 order, Q8 Stop, Q9 leases, Q10 inspection, Q11 schedules, Q12 processes, Q13 crowds.
// TestRejectsDefects fails for a rule that no defect of the naive queue breaks.
func rules() []rule {
	return []rule{
		{"hooks", "a queue that declares itself durable shows it: Suite.Reopen and Suite.Process are set", nil, hooksRule},
		{"unsupported", "what Properties excludes returns errors.ErrUnsupported and changes nothing", needsExclusion, unsupportedRule},
		{"open", "Open returns at once; a lane that is open is ErrLaneOpen, and once stopped it can be opened again", nil, openRule},
		{"Q1/waits", "Enqueue returning nil means stored: jobs of a lane that is not open wait for it", nil, waitsRule},
		{"Q1/context", "with ctx done a call returns ctx's error and changes nothing", nil, contextRule},
		{"Q1/restart", "what was enqueued and not settled is there after a restart, as it was; what was settled is not", needsReopen, restartRule},
		{"Q1/kill", "kill -9 at any point loses nothing acknowledged, and repeats no more than what was in flight", needsProcess, killRule},
		{"Q2/known", "a job id is stored once: enqueueing it again is safe, before, while and after it runs", nil, knownRule},
		{"Q2/race", "of concurrent calls with the same job exactly one stores it", nil, knownRaceRule},
		{"Q2/conflict", "a known event id with other data is a *ConflictError, and nothing of that event is stored", nil, conflictRule},
		{"Q3/identical", "every field of a job and every byte of its event come back identical", nil, identicalRule},
		{"Q4/not-before", "a job starts not before its time and late by at most the stated precision", nil, notBeforeRule},
		{"Q4/delay", "a retried or postponed job starts not before its delay and late by at most the stated precision", nil, delayRule},
		{"Q5/limit", "never more handlers at a time than the lane's limit, also after it was raised, lowered or set to 0", nil, limitRule},
		{"Q5/live", "while the limit changes all the time, no more handlers run than the greatest limit, and each job runs once", nil, liveLimitRule},
		{"Q5/isolation", "a lane with many jobs and handlers that never return delays no other lane", nil, isolationRule},
		{"admit", "Admit is asked before each start, one call at a time, and again after the time it named or at Limit", nil, admitRule},
		{"admit/reopen", "a lane that is opened again asks its new Admit, whatever the old one said", nil, admitReopenRule},
		{"Q6/done", "a job that is done does not run again", nil, doneRule},
		{"Q6/retry", "Retry runs the job again with one more attempt counted; FirstTried is when the first of them began", nil, retryRule},
		{"Q6/postpone", "Postpone runs the job again without counting an attempt", nil, postponeRule},
		{"Q6/dead", "Dead removes the job; an outcome that says when the attempt began counts it", nil, deadRule},
		{"Q6/panic", "a handler that panics or ends its goroutine counts as Retry after a second, and harms no other job", nil, panicRule},
		{"Q7/lane", "a lane with limit 1 starts jobs that are not retried in the order enqueued", nil, laneOrderRule},
		{"Q7/keyed", "jobs with equal OrderKey run one at a time in the order enqueued; other keys are not held up", needsKeys, keyedRule},
		{"Q7/retry", "a job that is to be retried holds its followers back, and nobody else; a dead one lets them go", needsKeys, keyedRetryRule},
		{"Q7/strict", "with one key for all jobs a lane is strictly in order, whatever its limit, and across retries", needsKeys, strictRule},
		{"Q7/enqueuers", "jobs of one key from concurrent enqueuers run in the order in which each enqueued them", needsKeys, enqueuersRule},
		{"Q7/restart", "the order of a key outlasts changes of the limit, Stop and a restart", needsKeys, keyedRestartRule},
		{"Q7/kill", "the order of a key outlasts kill -9", both(needsKeys, needsProcess), keyedKillRule},
		{"urgent", "an urgent job without order key starts before the others of its lane, those of an order key keep their order",
			needsUrgency, urgentRule},
		{"urgent/restart", "what is urgent stays so after a restart", both(needsUrgency, needsReopen), urgentRestartRule},
		{"Q8/stop", "Stop starts no more jobs and returns when the running ones have; their outcomes count", nil, stopRule},
		{"Q8/cancel", "Stop whose ctx is done cancels the handlers; a job without an outcome runs again, as often tried as before", nil, stopCancelRule},
		{"Q8/stuck", "Stop returns StopGrace after its ctx and names the lane and the handlers in a *StillRunningError", nil, stuckRule},
		{"Q9/lease", "a job with a handler that stalls is not given to another", nil, leaseRule},
		{"drain", "Drain waits for what is due and runs, also if added meanwhile; not for later jobs, a paused lane, or beyond ctx", nil, drainRule},
		{"drain/until", "Drain also waits for what is due before until, retries included, and for nothing later", nil, drainUntilRule},
		{"drain/removed", "Drain does not wait for jobs that are removed meanwhile", needsInspection, drainRemovedRule},
		{"Q10/counts", "Count counts jobs per lane and state, and lists the lanes that are open or hold something", needsInspection, countsRule},
		{"Q10/purge", "Purge removes what waits in one lane, also behind a running job, and nothing else", needsInspection, purgeRule},
		{"Q10/backlog", "beside a lane that works off a backlog, what is added runs once, and what is purged is counted and never runs",
			needsInspection, backlogRule},
		{"Q10/letters", "dead letters keep job, time and reason, are listed the earliest first and selected by every field", needsInspection, lettersRule},
		{"Q10/requeue", "Requeue gives the selected dead letters back as new jobs of its generation, untried and as old as now", needsInspection, requeueRule},
		{"Q10/discard", "Discard removes the selected dead letters and no others", needsInspection, discardRule},
		{"Q10/since", "Requeue and Discard take what became dead since a time, and leave what did before", needsInspection, sinceRule},
		{"Q10/restart", "dead letters outlast a restart; what was purged, requeued or discarded stays so", both(needsInspection, needsReopen), deadRestartRule},
		{"Q11/schedule", "a scheduled job starts at its time; Cancel removes it until it has started, and says whether it did", needsScheduling, scheduleRule},
		{"Q11/postponed", "a scheduled job that was only postponed has not started: Cancel finds it; one that failed has", both(needsScheduling, needsInspection), postponedRule},
		{"Q11/replace", "scheduling under a key in use replaces the job that has not started; keys are unique per lane", needsScheduling, replaceRule},
		{"Q11/restart", "a scheduled job and its key outlast a restart; what was cancelled or replaced stays so", both(needsScheduling, needsReopen), scheduleRestartRule},
		{"bound/reject", "lanes without room are named by a *BacklogError, the others got their jobs; again is safe", needsBounds, rejectRule},
		{"bound/drop", "DropOldest drops the oldest waiting job that Keep does not keep: a dead letter, and Dropped is notified", needsBounds, dropRule},
		{"bound/behind", "the bound counts jobs of an open lane that are only in its store as well, and DropOldest finds them there",
			needsBounds, behindRule},
		{"bound/replace", "replacing a scheduled job needs no room", both(needsBounds, needsScheduling), boundReplaceRule},
		{"bound/restart", "what waited before a restart, or was to be tried again, counts after it", both(needsBounds, needsReopen), boundRestartRule},
		{"bound/group", "lanes of a group have room for GroupJobs together, retries included; other groups and lanes have their own",
			needsBounds, groupRule},
		{"bound/group-drop", "a lane that drops its oldest for lack of its group's room drops none of another lane", needsBounds, groupDropRule},
		{"dead/limit", "a lane keeps its latest DeadLetters dead letters, whatever becomes dead in other lanes",
			both(needsDeadBounds, needsInspection), deadLimitRule},
		{"dead/age", "a dead letter is kept for DeadLetterAge, that of its lane when it became dead", both(needsDeadBounds, needsInspection), deadAgeRule},
		{"dead/restart", "limits of dead letters hold for those from before a restart", both(needsDeadBounds, both(needsInspection, needsReopen)),
			deadLimitRestartRule},
		{"Q12/shared", "two processes share a lane, and no job runs twice while both live", needsShared, sharedRule},
		{"Q12/owner", "a store that belongs to one process is refused to a second one while the first has it", needsOwner, ownerRule},
		{"Q13/flood", "lanes that are full of jobs, and have as many as their group may, take neither room nor time from another lane",
			nil, floodRule},
		{"Q13/crowd", "after a restart with many jobs pending a lane serves within a second", needsReopen, crowdRule},
	}
}

func needsReopen(p *probe) string {
	if p.s.Reopen == nil {
		return "the queue is not durable"
	}
	return ""
}

func needsProcess(p *probe) string {
	if p.s.Process == nil {
		return "the queue is not durable"
	}
	return ""
}

func needsShared(p *probe) string {
	if p.s.Process == nil || !p.s.Process.Shared {
		return "the queue belongs to one process"
	}
	return ""
}

func needsOwner(p *probe) string {
	if reason := needsProcess(p); reason != "" {
		return reason
	}
	if p.s.Process.Shared {
		return "processes share the queue"
	}
	return ""
}

func needsKeys(p *probe) string       { return declared(p.q.Properties().KeyedOrder, "KeyedOrder") }
func needsUrgency(p *probe) string    { return declared(p.q.Properties().Urgency, "Urgency") }
func needsBounds(p *probe) string     { return declared(p.q.Properties().Bounded, "Bounded") }
func needsDeadBounds(p *probe) string { return declared(p.q.Properties().DeadBounded, "DeadBounded") }
func needsScheduling(p *probe) string { return declared(p.q.Properties().Scheduling, "Scheduling") }
func needsInspection(p *probe) string { return declared(p.q.Properties().Inspection, "Inspection") }

func declared(there bool, property string) string {
	if !there {
		return "the queue does not declare " + property
	}
	return ""
}

func needsExclusion(p *probe) string {
	if d := p.q.Properties(); d.Scheduling && d.Inspection {
		return "the queue declares Scheduling and Inspection"
	}
	return ""
}

// both is the need of two needs.
func both(a, b func(p *probe) string) func(p *probe) string {
	return func(p *probe) string {
		if reason := a(p); reason != "" {
			return reason
		}
		return b(p)
	}
}

func hooksRule(p *probe) {
	durable := p.q.Properties().Durable
	if durable && (p.s.Reopen == nil || p.s.Process == nil) {
		p.fail("Properties.Durable is true, but Suite has no Reopen or no Process")
	}
	if !durable && (p.s.Reopen != nil || p.s.Process != nil) {
		p.fail("Properties.Durable is false, but Suite has Reopen or Process")
	}
	if p.q.Properties().Precision <= 0 || p.q.Properties().IDWindow == "" {
		p.fail("Properties does not state Precision and IDWindow")
	}
}

func unsupportedRule(p *probe) {
	unsupported := func(call string, err error) {
		if !errors.Is(err, errors.ErrUnsupported) {
			p.fail("%s, which Properties excludes: error %v, want errors.ErrUnsupported", call, err)
		}
	}
	if !p.q.Properties().Scheduling {
		unsupported("Schedule", p.q.Schedule(p.ctx, "key", p.job("a")))
		_, err := p.q.Cancel(p.ctx, "a", "key")
		unsupported("Cancel", err)
	}
	if !p.q.Properties().Inspection {
		_, err := p.q.Lanes(p.ctx)
		unsupported("Lanes", err)
		_, err = p.q.Count(p.ctx, "a")
		unsupported("Count", err)
		_, err = p.q.Purge(p.ctx, "a")
		unsupported("Purge", err)
		_, err = p.q.DeadLetters(p.ctx, queue.Selection{})
		unsupported("DeadLetters", err)
		_, err = p.q.Requeue(p.ctx, queue.Selection{}, 1)
		unsupported("Requeue", err)
		_, err = p.q.Discard(p.ctx, queue.Selection{})
		unsupported("Discard", err)
	}
	p.open("a", 1).expectNone("of a call that is not supported")
}
