package main

// Entrants that goals look for.
const (
	asItComes        = "Tocsin, as it comes"
	withoutLimit     = "Tocsin, no time limit"
	nameNotify       = "nikoksr/notify"
	nameRouter       = "Watermill Router"
	nameAlertmanager = "Alertmanager, with its log, dedup and retries"
	besideIdleRoutes = "to 10, beside 10,000 that want other events"
	wholeWay         = "Tocsin, the whole way through an engine"
	wholeWayDurable  = "Tocsin, the whole way by sqlitequeue, one event to ten"
	nameSQLite       = "Tocsin, sqlitequeue"
	nameRiver        = "River on SQLite, tuned"
	nameDedup        = "Tocsin, dedup.Memory"
	nameRetries      = "Tocsin, memoryqueue.Queue"
	ourSignature     = "Tocsin, channel/webhook/signature"
	hashAlone        = "SHA-256 of the body, which every signature needs"
	encodedForOne    = "Tocsin, for one"
	encodedForTen    = "Tocsin, for ten"

	isolatedUntilLimit = "Tocsin, hangs until a limit of 50 ms, again and again"
	isolatedFromFive   = "Tocsin, 5 of 10 hang"
	isolatedFromNine   = "Tocsin, 9 of 10 hang"
)

// Columns that goals look for.
const (
	heldPerRoute   = "KB held per route"
	heldPerJob     = "bytes waiting, each, without the event"
	healthyShare   = "healthy: within 100 ms, %"
	healthyP99     = "p99, ms"
	usualP99       = "the same without a hang, ms"
	goroutinesMore = "goroutines more"
	newConnections = "new connections per 1,000"
	heldPerKey     = "bytes per live key"
	repeatsMissed  = "repeats missed"
	heldPerRetry   = "bytes each, without the job"
	latestRetry    = "latest, ms late"
)
