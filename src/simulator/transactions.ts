import { randomUUID } from 'node:crypto'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import type { News } from './news.ts'
import { beginning, ending, type Push, type PushAnswer, type Status, say } from './push.ts'
import type { Account, AccountUser, SimulatedDevice } from './users.ts'
import type { Verification } from './verified-push.ts'

const PUSH_LIFETIME: Milliseconds = MINUTE
/** How long an answer that nobody fetched is kept. */
const KEPT_AFTER_END: Milliseconds = 5 * MINUTE
/** A poll is held no longer than this by the wall clock, also when a test's clock stands still. */
const POLL_AT_MOST: Milliseconds = MINUTE
const EXPIRY_CHECK: Milliseconds = 50
const TRANSACTIONS_AT_MOST = 10_000
/** So often may a wrong code be entered; the last of them denies the push. */
const WRONG_CODES = 3

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
  /** Verified Push: the transaction that preauth announced. */
  readonly verification: Verification | undefined
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
  /**
   * False when it does not count: the push is unknown, answered before or too old, the code of a Verified Push is wrong (the third wrong one
   * denies it), or only a call can be picked up.
   */
  answer(pushId: string, answer: PushAnswer, verificationCode?: string): boolean
  /** All there ever were (the last ten thousand), oldest first. */
  pushes(): readonly Push[]
  /** Whether somebody waits for what becomes of it. */
  isAsked(pushId: string): boolean
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
  /** What an approval adds, where the policy remembers devices. */
  trust: (username: string, ipaddr: string | undefined) => string | undefined
}): Transactions {
  const { account, clock, news, deliver, trust } = parts
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

  function open(txid: string = randomUUID()): Transaction {
    const transaction: Transaction = {
      txid,
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
    const forAll = status.result !== 'waiting' && deliver() === 'again' ? status : undefined
    // Each state goes to one poller: two that poll one txid take each other's.
    for (const poller of [...transaction.pollers]) {
      const next = transaction.undelivered.shift() ?? forAll
      if (!next) return
      transaction.pollers.delete(poller)
      poller(next)
    }
  }

  function end(transaction: Transaction, push: Push, how: Exclude<PushAnswer, 'pick-up'> | 'expire') {
    const { state, status } = ending(push, how)
    pending.delete(transaction)
    transaction.push = { ...push, state, answeredAt: how === 'expire' ? push.deadline : clock() }
    const owner = account.byDevice(push.device.id)?.user
    if (owner) account.record(owner, how === 'approve' ? 'success' : 'failure')
    const token = status.result === 'allow' ? trust(push.username, push.ipaddr) : undefined
    tell(transaction, token === undefined ? status : { ...status, trusted_device_token: token })
    news.changed()
  }

  /** A call that was not picked up before is now. */
  function pickUp(transaction: Transaction, push: Push): Push {
    if (push.factor !== 'phone' || push.pickedUp) return push
    const answered: Push = { ...push, pickedUp: true }
    transaction.push = answered
    tell(transaction, say.answered)
    news.changed()
    return answered
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
      const transaction = open(request.verification?.txid)
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
        verificationCode: request.verification?.code,
        wrongCodes: 0,
        pickedUp: false,
        sentAt: now,
        deadline: now + PUSH_LIFETIME,
        state: 'pending',
        answeredAt: undefined,
      }
      transaction.push = push
      txidByPush.set(push.id, transaction.txid)
      pending.add(transaction)
      tell(transaction, beginning(push))
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
    answer(pushId, answer, verificationCode) {
      expire()
      const transaction = byTxid.get(txidByPush.get(pushId) ?? '')
      const push = transaction?.push
      if (!transaction || push?.state !== 'pending') return false
      if (answer === 'pick-up') return pickUp(transaction, push) !== push
      if (answer === 'approve' && push.verificationCode !== undefined && push.verificationCode !== verificationCode) {
        const wrong: Push = { ...push, wrongCodes: push.wrongCodes + 1 }
        transaction.push = wrong
        if (wrong.wrongCodes >= WRONG_CODES) end(transaction, wrong, 'deny')
        else news.changed()
        return false
      }
      end(transaction, answer === 'approve' ? pickUp(transaction, push) : push, answer)
      return true
    },
    pushes() {
      expire()
      return [...byTxid.values()].flatMap(({ push }) => (push ? [push] : []))
    },
    isAsked(pushId) {
      const transaction = byTxid.get(txidByPush.get(pushId) ?? '')
      return transaction !== undefined && transaction.pollers.size > 0
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
