import { randomUUID } from 'node:crypto'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import type { News } from './news.ts'
import { type Account, type AccountUser, maskedNumber, type SimulatedDevice } from './users.ts'

/** What auth_status says. */
export type Status = {
  readonly result: 'waiting' | 'allow' | 'deny'
  readonly status: string
  readonly status_msg: string
}

export type PushState = 'pending' | 'approved' | 'denied' | 'fraud' | 'timed-out'
export type PushAnswer = 'approve' | 'deny' | 'fraud'

/** What a phone received: a push, or a call. */
export interface Push {
  readonly id: string
  readonly factor: 'push' | 'phone'
  readonly username: string
  readonly displayUsername: string
  readonly device: SimulatedDevice
  /** The word before *request*: `Login`. */
  readonly type: string
  /** In the order in which they came. */
  readonly pushinfo: readonly (readonly [name: string, value: string])[]
  readonly ipaddr: string | undefined
  readonly sentAt: Milliseconds
  /** From here on no answer counts. */
  readonly deadline: Milliseconds
  readonly state: PushState
  readonly answeredAt: Milliseconds | undefined
}

/** Duo's words (the well-known ones; an open set). */
const say = {
  pushed: { result: 'waiting', status: 'pushed', status_msg: 'Pushed a login request to your device...' },
  answered: { result: 'waiting', status: 'answered', status_msg: "Answered. Press '#' on your phone to log in." },
  allowed: { result: 'allow', status: 'allow', status_msg: 'Success. Logging you in...' },
  denied: { result: 'deny', status: 'deny', status_msg: 'Login request denied.' },
  fraud: { result: 'deny', status: 'fraud', status_msg: 'Login request reported as fraudulent.' },
  timedOut: { result: 'deny', status: 'timeout', status_msg: 'Login timed out.' },
} as const satisfies Record<string, Status>

const calling = (device: SimulatedDevice): Status => ({
  result: 'waiting',
  status: 'calling',
  status_msg: `Dialing ${maskedNumber(device.number)}...`,
})

const endings = {
  approve: { state: 'approved', status: say.allowed, outcome: 'success' },
  deny: { state: 'denied', status: say.denied, outcome: 'failure' },
  fraud: { state: 'fraud', status: say.fraud, outcome: 'failure' },
  expire: { state: 'timed-out', status: say.timedOut, outcome: 'failure' },
} as const satisfies Record<PushAnswer | 'expire', { state: PushState; status: Status; outcome: string }>

const PUSH_LIFETIME: Milliseconds = MINUTE
/** How long an answer that nobody fetched is kept. */
const KEPT_AFTER_END: Milliseconds = 5 * MINUTE
/** A poll is held no longer than this by the wall clock, also when a test's clock stands still. */
const POLL_AT_MOST: Milliseconds = MINUTE
const EXPIRY_CHECK: Milliseconds = 50
const TRANSACTIONS_AT_MOST = 10_000

interface Transaction {
  readonly txid: string
  push: Push | undefined
  readonly undelivered: Status[]
  /** The newest that was delivered or is to be. */
  last: Status | undefined
  readonly pollers: Set<(status: Status) => void>
  endedAt: Milliseconds | undefined
  /** Its final status was. */
  fetched: boolean
}

export interface Request {
  readonly type: string
  readonly displayUsername: string | undefined
  readonly pushinfo: readonly (readonly [string, string])[]
  readonly ipaddr: string | undefined
}

export interface Transactions {
  /** Sends a push or a call to a device. */
  send(
    user: AccountUser,
    device: SimulatedDevice,
    factor: 'push' | 'phone',
    request: Request,
  ): { txid: string; pushId: string }
  /** A transaction that is over at once: a passcode, an SMS, a bypass. Returns the txid. */
  over(status: Status): string
  /**
   * The next status of a transaction, each delivered once; waits while there is none. `left` when the signal aborts: nothing was delivered then.
   * `unknown` for a txid that is not, or whose answer was fetched.
   */
  next(txid: string, signal: AbortSignal): Promise<Status | 'unknown' | 'left'>
  /** The final status, for a synchronous call. */
  final(txid: string, signal: AbortSignal): Promise<Status | 'unknown' | 'left'>
  /** False when the push is not pending: unknown, answered before, or too old. */
  answer(pushId: string, answer: PushAnswer): boolean
  /** All there ever were (the last ten thousand), oldest first. */
  pushes(): readonly Push[]
  /** Ends what is past its deadline. Called at each use, and often while somebody waits. */
  expire(): void
  /** Resolves as `News.after` does, and ends meanwhile what is past its deadline. */
  change(version: number, within: Milliseconds, signal: AbortSignal): Promise<void>
  close(): void
}

/** @param parts.deliver whether a final answer can be fetched once, as at Duo, or again */
export function openTransactions(parts: {
  account: Account
  clock: Clock
  news: News
  deliver: () => 'once' | 'again'
}): Transactions {
  const { account, clock, news, deliver } = parts
  const byTxid = new Map<string, Transaction>()
  const txidByPush = new Map<string, string>()
  const pending = new Set<Transaction>()
  let waiting = 0
  let timer: NodeJS.Timeout | undefined

  /** Somebody waits: look at the clock now and then, since a test's clock moves without telling. */
  function startWaiting() {
    waiting++
    timer ??= setInterval(expire, EXPIRY_CHECK).unref()
  }
  function stopWaiting() {
    if (--waiting > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function open(): Transaction {
    const transaction: Transaction = {
      txid: randomUUID(),
      push: undefined,
      undelivered: [],
      last: undefined,
      pollers: new Set(),
      endedAt: undefined,
      fetched: false,
    }
    byTxid.set(transaction.txid, transaction)
    for (const [txid, old] of byTxid) {
      if (byTxid.size <= TRANSACTIONS_AT_MOST) break
      if (old.push) txidByPush.delete(old.push.id)
      pending.delete(old)
      byTxid.delete(txid)
    }
    return transaction
  }

  function tell(transaction: Transaction, status: Status) {
    transaction.last = status
    transaction.undelivered.push(status)
    if (status.result !== 'waiting') transaction.endedAt = clock()
    // Each state goes to one poller: two that poll one txid take each other's.
    for (const poller of [...transaction.pollers]) {
      const next = transaction.undelivered.shift()
      if (!next) return
      transaction.pollers.delete(poller)
      poller(next)
    }
  }

  function end(transaction: Transaction, push: Push, how: PushAnswer | 'expire') {
    const { state, status, outcome } = endings[how]
    pending.delete(transaction)
    transaction.push = { ...push, state, answeredAt: how === 'expire' ? push.deadline : clock() }
    const owner = account.byDevice(push.device.id)?.user
    if (owner) account.record(owner, outcome)
    if (push.factor === 'phone' && how === 'approve') tell(transaction, say.answered)
    tell(transaction, status)
    news.changed()
  }

  function expire() {
    const now = clock()
    for (const transaction of pending) {
      const { push } = transaction
      if (push && now >= push.deadline) end(transaction, push, 'expire')
    }
  }

  function live(txid: string): Transaction | undefined {
    expire()
    const transaction = byTxid.get(txid)
    if (!transaction) return undefined
    const { endedAt } = transaction
    if (endedAt !== undefined && clock() - endedAt >= KEPT_AFTER_END) return undefined
    return transaction.fetched && deliver() === 'once' ? undefined : transaction
  }

  function poll(transaction: Transaction, signal: AbortSignal): Promise<Status | 'left'> {
    const ready = transaction.undelivered.shift()
    if (ready) return Promise.resolve(ready)
    const { last } = transaction
    if (last && last.result !== 'waiting') return Promise.resolve(last)
    if (signal.aborted) return Promise.resolve('left')
    return new Promise(resolve => {
      startWaiting()
      const finish = (status: Status | 'left') => {
        stopWaiting()
        clearTimeout(limit)
        transaction.pollers.delete(finish)
        signal.removeEventListener('abort', leave)
        resolve(status)
      }
      const leave = () => finish('left')
      const limit = setTimeout(() => finish(last ?? say.pushed), POLL_AT_MOST)
      signal.addEventListener('abort', leave, { once: true })
      transaction.pollers.add(finish)
    })
  }

  const transactions: Transactions = {
    send(user, device, factor, request) {
      const transaction = open()
      const now = clock()
      const push: Push = {
        id: `push_${randomUUID().replaceAll('-', '').slice(0, 20)}`,
        factor,
        username: user.username,
        displayUsername: request.displayUsername ?? user.username,
        device,
        type: request.type,
        pushinfo: request.pushinfo,
        ipaddr: request.ipaddr,
        sentAt: now,
        deadline: now + PUSH_LIFETIME,
        state: 'pending',
        answeredAt: undefined,
      }
      transaction.push = push
      txidByPush.set(push.id, transaction.txid)
      pending.add(transaction)
      tell(transaction, factor === 'push' ? say.pushed : calling(device))
      news.changed()
      return { txid: transaction.txid, pushId: push.id }
    },
    over(status) {
      const transaction = open()
      tell(transaction, status)
      return transaction.txid
    },
    async next(txid, signal) {
      const transaction = live(txid)
      if (!transaction) return 'unknown'
      const status = await poll(transaction, signal)
      if (status !== 'left' && status.result !== 'waiting') transaction.fetched = true
      return status
    },
    async final(txid, signal) {
      for (;;) {
        const status = await transactions.next(txid, signal)
        if (typeof status === 'string' || status.result !== 'waiting') return status
      }
    },
    answer(pushId, answer) {
      expire()
      const transaction = byTxid.get(txidByPush.get(pushId) ?? '')
      if (transaction?.push?.state !== 'pending') return false
      end(transaction, transaction.push, answer)
      return true
    },
    pushes() {
      expire()
      return [...byTxid.values()].flatMap(({ push }) => (push ? [push] : []))
    },
    expire,
    async change(since, within, signal) {
      expire()
      startWaiting()
      await news.after(since, within, signal)
      stopWaiting()
    },
    close() {
      clearInterval(timer)
      for (const { pollers } of byTxid.values()) for (const poller of [...pollers]) poller(say.timedOut)
    },
  }
  return transactions
}
