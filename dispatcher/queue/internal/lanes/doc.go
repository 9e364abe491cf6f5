// Package lanes is the scheduler of the queues in a process: which job of which lane runs next. It knows limits, order
// keys, urgency, due times and Admit, and nothing of disks or networks. A queue in memory is this scheduler alone; a
// durable one is this scheduler over a window of the jobs that it stores.
package lanes
