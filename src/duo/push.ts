import { CLOCK_TOLERANCE, MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import type { Reason } from '../problems/problems.ts'

/** Where a push is. `allowed` waits to be claimed; the rest of the second line is over. */
export type PushState =
  | 'sending'
  | 'waiting'
  | 'allowed'
  | 'claimed'
  | 'denied'
  | 'fraud'
  | 'timed-out'
  | 'cancelled'
  | 'failed'

/** What is still going on at Duo. It outlives the push's own end: a denial or a fraud report counts whenever it comes. */
export type Upstream =
  | { readonly at: 'sending' }
  /** The phone may ring until `until`. `misses`: answers in a row that were none. */
  | {
      readonly at: 'ringing'
      readonly txid: string
      readonly until: Milliseconds
      readonly misses: number
      readonly trouble: Reason | null
    }
  /** Fraud was reported; those who must know have not all been told yet. */
  | { readonly at: 'reporting' }
  | { readonly at: 'over' }

export interface Push {
  readonly state: PushState
  readonly upstream: Upstream
  /** An approval from here on is no approval. */
  readonly deadline: Milliseconds
  readonly endedAt: Milliseconds | null
  /** Duo's words, to show. */
  readonly said: string
  /** Why it failed, where a reason has a name. */
  readonly reason: Reason | null
  /** Duo let the person pass without the factor that was asked for. */
  readonly bypassed: boolean
}

/** A poll that brought no answer to go by. */
export type Miss = 'unreachable' | 'unreadable' | 'unknown-transaction' | 'refused'

export type PushEvent =
  /** Duo took the push. */
  | { readonly type: 'sent'; readonly txid: string }
  /** It did not, or its answer was lost: then the phone may ring all the same. */
  | { readonly type: 'not-sent'; readonly reason: Reason; readonly mayRing: boolean }
  | {
      readonly type: 'answer'
      readonly result: 'waiting' | 'allow' | 'deny'
      readonly status: string
      readonly said: string
    }
  | { readonly type: 'no-answer'; readonly miss: Miss; readonly reason: Reason }
  | { readonly type: 'time' }
  /** The person, a logout or a newer push. */
  | { readonly type: 'cancel' }
  | { readonly type: 'claim' }
  /** Another process follows it from here. */
  | { readonly type: 'resumed' }
  | { readonly type: 'alarmed' }

/** What follows from an event. That Duo is asked on, and that a fraud report is told, follows from `upstream` alone: whoever holds the lease does it. */
export type Command =
  /** For the person's guard; written in one transaction with the state. */
  | { readonly do: 'guard'; readonly note: GuardNote }
  /** Told once the state is written, and only then. */
  | { readonly do: 'audit'; readonly event: PushAudit; readonly reason?: Reason }

export type GuardNote = 'allowed' | 'denied' | 'fraud' | 'lost'
export type PushAudit =
  | 'duo.locked-out'
  | `push.${'sent' | 'allowed' | 'denied' | 'fraud' | 'timed-out' | 'failed' | 'cancelled' | 'late-approval'}`

export interface Step {
  readonly push: Push
  readonly commands: readonly Command[]
}

/** How long Duo lets a push ring. */
export const PUSH_LIFETIME: Milliseconds = 60 * SECOND
/** Duo is listened to for this long after the deadline. */
const LISTEN_AFTER: Milliseconds = 10 * SECOND
const LISTENED = PUSH_LIFETIME + LISTEN_AFTER
/** An approval that nobody claimed is worth nothing after this: the browser that it was for is gone. */
const CLAIM_WITHIN: Milliseconds = 5 * MINUTE

// Asking again after no answer can only lose: what Duo said once it may not say again. So: bounded, and never read as an approval.
const MISSES_ALLOWED = {
  unreachable: Number.POSITIVE_INFINITY,
  unreadable: 2,
  'unknown-transaction': 1,
  refused: 0,
} as const satisfies Record<Miss, number>

/** A push that is about to be sent. */
export function newPush(now: Milliseconds): Push {
  return {
    state: 'sending',
    upstream: { at: 'sending' },
    deadline: now + PUSH_LIFETIME,
    endedAt: null,
    said: '',
    reason: null,
    bypassed: false,
  }
}

/** A factor that was proved at once: there to be claimed. */
export function approvedPush(now: Milliseconds, said: string, bypassed: boolean): Push {
  return { state: 'allowed', upstream: over, deadline: now, endedAt: now, said, reason: null, bypassed }
}

/** Whether nobody has decided yet. */
export function isWaiting(push: Pick<Push, 'state'>): boolean {
  return push.state === 'sending' || push.state === 'waiting'
}

/** Whether an approval is there to be taken. */
export function isClaimable(push: Push, now: Milliseconds): boolean {
  if (push.state !== 'allowed' || push.endedAt === null) return false
  return now < push.endedAt + CLAIM_WITHIN && !isFromFuture(push.endedAt, now)
}

/** Of before the clock was set back, or of another machine's: it would last for as long as that clock was ahead. */
export const isFromFuture = (made: Milliseconds, now: Milliseconds) => made > now + CLOCK_TOLERANCE

const isTimeUp = ({ deadline }: Push, now: Milliseconds) =>
  now >= deadline || isFromFuture(deadline - PUSH_LIFETIME, now)

/**
 * What one event makes of a push. Ended stays ended; an approval after the deadline is no approval; only `allow` allows; a
 * denial or a fraud report counts whenever it comes. The push comes back as the same object when nothing changed.
 */
export function advance(push: Push, event: PushEvent, now: Milliseconds): Step {
  switch (event.type) {
    case 'sent':
      return onSent(push, event.txid, now)
    case 'not-sent': {
      if (push.upstream.at !== 'sending') return unchanged(push)
      const lost: Command[] = event.mayRing ? [{ do: 'guard', note: 'lost' }] : []
      return end({ ...push, upstream: { at: 'over' } }, 'failed', now, lost, event.reason)
    }
    case 'answer':
      return push.upstream.at === 'ringing' ? onAnswer(push, event, now) : unchanged(push)
    case 'no-answer':
      return onNoAnswer(push, event, now)
    case 'time':
      return onTime(push, now)
    case 'cancel':
      return end(push.state === 'allowed' ? reopened(push) : push, 'cancelled', now)
    case 'claim':
      if (push.state !== 'allowed') return unchanged(push)
      return isClaimable(push, now) ? step({ ...push, state: 'claimed' }) : end(reopened(push), 'timed-out', now)
    case 'resumed':
      return onResumed(push, now)
    case 'alarmed':
      return push.upstream.at === 'reporting' ? step({ ...push, upstream: { at: 'over' } }) : unchanged(push)
  }
}

function onSent(push: Push, txid: string, now: Milliseconds): Step {
  if (push.upstream.at !== 'sending') return unchanged(push)
  const upstream: Upstream = {
    at: 'ringing',
    txid,
    until: now + LISTENED,
    misses: 0,
    trouble: null,
  }
  const commands: Command[] = [{ do: 'audit', event: 'push.sent' }]
  // Duo's minute began before its answer came, so Duo ends a push before this deadline does.
  return push.state === 'sending'
    ? step({ ...push, state: 'waiting', upstream, deadline: now + PUSH_LIFETIME }, commands)
    : step({ ...push, upstream }, commands)
}

function onAnswer(push: Push, answer: Extract<PushEvent, { type: 'answer' }>, now: Milliseconds): Step {
  const late = isTimeUp(push, now)
  const said = answer.said === '' || !isWaiting(push) ? push.said : answer.said
  if (answer.result === 'waiting') {
    const heard: Upstream =
      push.upstream.at === 'ringing' && push.upstream.misses > 0
        ? { ...push.upstream, misses: 0, trouble: null }
        : push.upstream
    const listening = said === push.said && heard === push.upstream ? push : { ...push, said, upstream: heard }
    return onTime(listening, now)
  }
  if (answer.result === 'allow') {
    const over: Push = { ...push, upstream: { at: 'over' }, said, bypassed: answer.status === 'bypass' }
    if (push.state === 'waiting' && !late) return end(over, 'allowed', now, [{ do: 'guard', note: 'allowed' }])
    return end(over, 'timed-out', now, [{ do: 'audit', event: 'push.late-approval' }])
  }
  if (answer.status === 'timeout') return end({ ...push, upstream: { at: 'over' }, said }, 'timed-out', now)
  // Duo's lock is no denial of the person's, and no pause of ours makes it shorter or longer.
  if (answer.status === 'locked_out') {
    const told: Command = { do: 'audit', event: 'duo.locked-out', reason: 'duo-locked' }
    return end({ ...push, upstream: over, said }, 'failed', now, [told], 'duo-locked')
  }
  const fraud = answer.status === 'fraud'
  const closed: Push = { ...push, upstream: { at: fraud ? 'reporting' : 'over' }, said }
  const effects: Command[] = [{ do: 'guard', note: fraud ? 'fraud' : 'denied' }]
  // The end of a push that is over already is not told again, but this is: the person pressed a button.
  if (!isWaiting(push)) effects.push({ do: 'audit', event: fraud ? 'push.fraud' : 'push.denied' })
  return end(closed, fraud ? 'fraud' : 'denied', now, effects)
}

function onNoAnswer(push: Push, event: Extract<PushEvent, { type: 'no-answer' }>, now: Milliseconds): Step {
  if (push.upstream.at !== 'ringing') return unchanged(push)
  const misses = push.upstream.misses + 1
  if (misses > MISSES_ALLOWED[event.miss]) {
    // Past the deadline Duo forgets the transaction: that is a timeout, not a fault.
    const forgotten = event.miss === 'unknown-transaction' && isTimeUp(push, now)
    return end({ ...push, upstream: { at: 'over' } }, forgotten ? 'timed-out' : 'failed', now, [], event.reason)
  }
  return onTime({ ...push, upstream: { ...push.upstream, misses, trouble: event.reason } }, now)
}

function onTime(push: Push, now: Milliseconds): Step {
  const upstream = listening(push.upstream, now)
  const listened = upstream === push.upstream ? push : { ...push, upstream }
  if (!isWaiting(push) || !isTimeUp(push, now)) return listened === push ? unchanged(push) : step(listened)
  const trouble = push.upstream.at === 'ringing' ? push.upstream.trouble : null
  return trouble === null ? end(listened, 'timed-out', now) : end(listened, 'failed', now, [], trouble)
}

/** A clock that was set back makes nobody listen for longer than one more time; a denial or a fraud report may still come in it. */
function listening(upstream: Upstream, now: Milliseconds): Upstream {
  if (upstream.at !== 'ringing') return upstream
  if (now >= upstream.until) return over
  return isFromFuture(upstream.until - LISTENED, now) ? { ...upstream, until: now + LISTENED } : upstream
}

function onResumed(push: Push, now: Milliseconds): Step {
  switch (push.upstream.at) {
    case 'sending':
      // Whoever sent it died before Duo's answer was written: without a txid nothing ties the phone's answer to this push.
      return end({ ...push, upstream: over }, 'failed', now, [{ do: 'guard', note: 'lost' }])
    case 'ringing':
      return onTime(push, now)
    case 'reporting':
    case 'over':
      return unchanged(push)
  }
}

const over: Upstream = { at: 'over' }

function unchanged(push: Push): Step {
  return { push, commands: [] }
}

function step(push: Push, commands: readonly Command[] = []): Step {
  return { push, commands }
}

/** An approval that was not taken may still end otherwise; nothing else that is over may. */
function reopened(push: Push): Push {
  return { ...push, state: 'waiting' }
}

/** Ends a push that still waits; one that is over keeps its end, and only the effects follow. */
function end(
  push: Push,
  state: Exclude<PushState, 'sending' | 'waiting' | 'claimed'>,
  now: Milliseconds,
  effects: readonly Command[] = [],
  reason: Reason | null = null,
): Step {
  if (!isWaiting(push)) return step(push, effects)
  const told: Command = { do: 'audit', event: `push.${state}`, ...(reason === null ? {} : { reason }) }
  return step({ ...push, state, endedAt: now, reason }, [told, ...effects])
}
