import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { advance, type Command, newPush, PUSH_LIFETIME, type Push, type PushEvent } from '../../src/duo/push.ts'

const start = 1_000_000
const answer = (result: 'waiting' | 'allow' | 'deny', status: string = result): PushEvent => ({
  type: 'answer',
  result,
  status,
  said: `Duo says ${status}`,
})
const sent: PushEvent = { type: 'sent', txid: 'tx' }
const miss = (kind: Extract<PushEvent, { type: 'no-answer' }>['miss']): PushEvent => ({
  type: 'no-answer',
  miss: kind,
  reason: 'duo-timeout',
})

/** Feeds events, each so many seconds after the start. */
function fed(...events: [second: number, event: PushEvent][]): { push: Push; commands: Command[] } {
  let push = newPush(start)
  const commands: Command[] = []
  for (const [second, event] of events) {
    const step = advance(push, event, start + second * 1000)
    push = step.push
    commands.push(...step.commands)
  }
  return { push, commands }
}

const audited = (commands: Command[]) => commands.flatMap(command => (command.do === 'audit' ? [command.event] : []))
const noted = (commands: Command[]) => commands.flatMap(command => (command.do === 'guard' ? [command.note] : []))

describe(advance, () => {
  it.each<[string, [number, PushEvent][], Push['state'], string[], string[]]>([
    [
      'an approval in time',
      [
        [0, sent],
        [59, answer('allow')],
      ],
      'allowed',
      ['push.sent', 'push.allowed'],
      ['allowed'],
    ],
    [
      'a denial',
      [
        [0, sent],
        [5, answer('deny')],
      ],
      'denied',
      ['push.sent', 'push.denied'],
      ['denied'],
    ],
    [
      'a lock at Duo',
      [
        [0, sent],
        [5, answer('deny', 'locked_out')],
      ],
      'failed',
      ['push.sent', 'push.failed', 'duo.locked-out'],
      [],
    ],
    [
      'a lock at Duo after a cancel',
      [
        [0, sent],
        [1, { type: 'cancel' }],
        [5, answer('deny', 'locked_out')],
      ],
      'cancelled',
      ['push.sent', 'push.cancelled', 'duo.locked-out'],
      [],
    ],
    [
      'a deny with status allow',
      [
        [0, sent],
        [5, answer('deny', 'allow')],
      ],
      'denied',
      ['push.sent', 'push.denied'],
      ['denied'],
    ],
    [
      'a waiting with status allow',
      [
        [0, sent],
        [5, answer('waiting', 'allow')],
      ],
      'waiting',
      ['push.sent'],
      [],
    ],
    [
      'a fraud report',
      [
        [0, sent],
        [5, answer('deny', 'fraud')],
      ],
      'fraud',
      ['push.sent', 'push.fraud'],
      ['fraud'],
    ],
    [
      'Duo’s own timeout',
      [
        [0, sent],
        [60, answer('deny', 'timeout')],
      ],
      'timed-out',
      ['push.sent', 'push.timed-out'],
      [],
    ],
    [
      'a clock that moved',
      [
        [0, sent],
        [60, { type: 'time' }],
      ],
      'timed-out',
      ['push.sent', 'push.timed-out'],
      [],
    ],
    [
      'a cancel',
      [
        [0, sent],
        [5, { type: 'cancel' }],
      ],
      'cancelled',
      ['push.sent', 'push.cancelled'],
      [],
    ],
    [
      'a cancel after the approval',
      [
        [0, sent],
        [5, answer('allow')],
        [6, { type: 'cancel' }],
        [7, { type: 'claim' }],
      ],
      'cancelled',
      ['push.sent', 'push.allowed', 'push.cancelled'],
      ['allowed'],
    ],
    [
      'a refusal to send',
      [[0, { type: 'not-sent', reason: 'duo-refused', mayRing: false }]],
      'failed',
      ['push.failed'],
      [],
    ],
    [
      'a lost answer of /auth',
      [[0, { type: 'not-sent', reason: 'duo-timeout', mayRing: true }]],
      'failed',
      ['push.failed'],
      ['lost'],
    ],
    ['a sender that died', [[9, { type: 'resumed' }]], 'failed', ['push.failed'], ['lost']],
    ['an answer before there is a transaction', [[0, answer('allow')]], 'sending', [], []],
    [
      'a claim of what waits',
      [
        [0, sent],
        [1, { type: 'claim' }],
      ],
      'waiting',
      ['push.sent'],
      [],
    ],
    [
      'a claim',
      [
        [0, sent],
        [5, answer('allow')],
        [6, { type: 'claim' }],
      ],
      'claimed',
      ['push.sent', 'push.allowed'],
      ['allowed'],
    ],
    [
      'a claim after five minutes',
      [
        [0, sent],
        [5, answer('allow')],
        [305, { type: 'claim' }],
      ],
      'timed-out',
      ['push.sent', 'push.allowed', 'push.timed-out'],
      ['allowed'],
    ],
  ])('%s', (_, events, state, events_, notes) => {
    const { push, commands } = fed(...events)
    expect(push.state).toBe(state)
    expect(audited(commands)).toEqual(events_)
    expect(noted(commands)).toEqual(notes)
  })

  it('row 117: an allow at the deadline or later is none, and told', () => {
    const { push, commands } = fed([0, sent], [60, answer('allow')])
    expect(push.state).toBe('timed-out')
    expect(audited(commands)).toEqual(['push.sent', 'push.timed-out', 'push.late-approval'])
    expect(fed([0, sent], [60, { type: 'time' }], [62, answer('allow')]).push.state).toBe('timed-out')
  })

  it('row 117: the first final answer stands', () => {
    expect(fed([0, sent], [5, answer('allow')], [6, answer('deny')]).push.state).toBe('allowed')
    expect(fed([0, sent], [5, answer('deny')], [6, answer('allow')]).push.state).toBe('denied')
  })

  it('row 117: a transaction that Duo does not know is asked for once more, then it failed', () => {
    expect(fed([0, sent], [5, miss('unknown-transaction')]).push.state).toBe('waiting')
    expect(fed([0, sent], [5, miss('unknown-transaction')], [6, miss('unknown-transaction')]).push.state).toBe('failed')
    expect(fed([0, sent], [5, miss('unknown-transaction')], [6, answer('allow')]).push.state).toBe('allowed')
  })

  it('row 120: an approval after a cancel raises nothing and is told; a denial or a fraud report then still counts', () => {
    const late = fed([0, sent], [5, { type: 'cancel' }], [6, answer('allow')])
    expect(late.push).toMatchObject({ state: 'cancelled', upstream: { at: 'over' } })
    expect(audited(late.commands)).toEqual(['push.sent', 'push.cancelled', 'push.late-approval'])
    const reported = fed([0, sent], [5, { type: 'cancel' }], [6, answer('deny', 'fraud')])
    expect(reported.push).toMatchObject({ state: 'cancelled', upstream: { at: 'reporting' } })
    expect(noted(reported.commands)).toEqual(['fraud'])
    expect(audited(reported.commands)).toContain('push.fraud')
  })

  it('row 120: a cancel while the push is being sent still hears the phone', () => {
    const { push, commands } = fed([0, { type: 'cancel' }], [1, sent], [9, answer('allow')])
    expect(push.state).toBe('cancelled')
    expect(audited(commands)).toEqual(['push.cancelled', 'push.sent', 'push.late-approval'])
  })

  it('row 125: a fraud report is told again by whoever takes over, until it was told', () => {
    const { push } = fed([0, sent], [5, answer('deny', 'fraud')])
    const taken = advance(push, { type: 'resumed' }, start + 9_000)
    expect(taken).toEqual({ push, commands: [] })
    expect(push.upstream).toEqual({ at: 'reporting' })
    const told = advance(push, { type: 'alarmed' }, start + 9_000).push
    expect(told).toMatchObject({ state: 'fraud', upstream: { at: 'over' } })
    expect(advance(told, { type: 'resumed' }, start + 10_000).commands).toEqual([])
  })

  it('lets Duo be out of reach until the deadline, then says that it failed', () => {
    const events = Array.from({ length: 50 }, (_, index): [number, PushEvent] => [index, miss('unreachable')])
    expect(fed([0, sent], ...events).push.state).toBe('waiting')
    expect(fed([0, sent], ...events, [60, { type: 'time' }]).push).toMatchObject({
      state: 'failed',
      reason: 'duo-timeout',
    })
    expect(fed([0, sent], ...events, [59, answer('allow')]).push.state).toBe('allowed')
  })

  it('gives nonsense two more tries, and keys that Duo refuses none', () => {
    expect(fed([0, sent], [1, miss('unreadable')], [2, miss('unreadable')]).push.state).toBe('waiting')
    expect(fed([0, sent], [1, miss('unreadable')], [2, miss('unreadable')], [3, miss('unreadable')]).push.state).toBe(
      'failed',
    )
    expect(fed([0, sent], [1, miss('refused')]).push.state).toBe('failed')
  })

  it('stops listening some seconds after the deadline', () => {
    expect(fed([0, sent], [60, { type: 'time' }]).push.upstream.at).toBe('ringing')
    expect(fed([0, sent], [71, { type: 'time' }]).push).toMatchObject({
      state: 'timed-out',
      upstream: { at: 'over' },
    })
  })

  const HOUR = 3_600
  it.each<[string, [number, PushEvent][], Partial<Push>]>([
    ['what waits is over', [[-HOUR, { type: 'time' }]], { state: 'timed-out', endedAt: start - HOUR * 1000 }],
    ['an approval is none', [[-HOUR, answer('allow')]], { state: 'timed-out', upstream: { at: 'over' } }],
    ['a denial is one', [[-HOUR, answer('deny')]], { state: 'denied' }],
    [
      'a fraud report after it is heard',
      [
        [-HOUR, { type: 'time' }],
        [-HOUR + 5, answer('deny', 'fraud')],
      ],
      { state: 'timed-out', upstream: { at: 'reporting' } },
    ],
    [
      'nobody listens for longer than once more',
      [
        [-HOUR, { type: 'time' }],
        [-HOUR + 70, { type: 'time' }],
      ],
      { state: 'timed-out', upstream: { at: 'over' } },
    ],
    [
      'an approval that nobody took is worth nothing',
      [
        [5, answer('allow')],
        [-HOUR, { type: 'claim' }],
      ],
      { state: 'timed-out' },
    ],
  ])('row 161: where the clock was set back by an hour, %s', (_, events, expected) => {
    expect(fed([0, sent], ...events).push).toMatchObject(expected)
  })

  it('row 161: what is no more than two clocks may lie apart ends nothing', () => {
    expect(fed([0, sent], [-30, { type: 'time' }]).push.state).toBe('waiting')
    expect(fed([0, sent], [5, answer('allow')], [-30, { type: 'claim' }]).push.state).toBe('claimed')
  })

  it('row 161: two hours later, as after a sleep of the machine, all of it is over', () => {
    expect(fed([0, sent], [2 * HOUR, { type: 'time' }]).push).toMatchObject({
      state: 'timed-out',
      upstream: { at: 'over' },
    })
    expect(fed([0, sent], [2 * HOUR, answer('allow')]).push.state).toBe('timed-out')
    expect(fed([0, sent], [5, answer('allow')], [2 * HOUR, { type: 'claim' }]).push.state).toBe('timed-out')
  })

  it('from any events in any order: allowed only by an allow before the deadline with no end before it, and one claim', () => {
    const event = fc.oneof(
      fc.constant(sent),
      fc.record({
        type: fc.constant('not-sent' as const),
        reason: fc.constant('duo-timeout' as const),
        mayRing: fc.boolean(),
      }),
      fc
        .tuple(
          fc.constantFrom('waiting' as const, 'allow' as const, 'deny' as const),
          fc.constantFrom('allow', 'deny', 'fraud', 'timeout', 'pushed'),
        )
        .map(([result, status]) => answer(result, status)),
      fc
        .constantFrom('unreachable' as const, 'unreadable' as const, 'unknown-transaction' as const, 'refused' as const)
        .map(miss),
      fc.constantFrom<PushEvent>(
        { type: 'time' },
        { type: 'cancel' },
        { type: 'claim' },
        { type: 'resumed' },
        { type: 'alarmed' },
      ),
    )
    // Now and then the clock is set back by an hour.
    const passing = fc.oneof(
      { weight: 9, arbitrary: fc.nat({ max: 40_000 }) },
      { weight: 1, arbitrary: fc.constant(-HOUR * 1000) },
    )
    const steps = fc.array(fc.tuple(event, passing), { maxLength: 14 })
    let allowedRuns = 0
    fc.assert(
      fc.property(steps, fc.boolean(), (given, early) => {
        let push = newPush(start)
        let now = start
        let claims = 0
        let ended = false
        const history = early ? [[sent, 0] as const, ...given] : given
        for (const [next, passed] of history) {
          now += passed
          const before = push
          push = advance(push, next, now).push
          const wasWaiting = before.state === 'sending' || before.state === 'waiting'
          if (push.state === 'allowed' && before.state !== 'allowed') {
            allowedRuns += 1
            expect(next).toMatchObject({ type: 'answer', result: 'allow' })
            expect(before.state).toBe('waiting')
            expect(now).toBeLessThan(before.deadline)
            expect(before.deadline).toBeLessThanOrEqual(now + PUSH_LIFETIME)
            expect(ended).toBe(false)
          }
          if (push.state === 'claimed' && before.state !== 'claimed') {
            claims += 1
            expect(before.state).toBe('allowed')
          }
          // Ended stays ended; an approval alone may still be claimed, taken back or forgotten.
          if (!wasWaiting && before.state !== 'allowed') expect(push.state).toBe(before.state)
          if (!wasWaiting) expect(push.endedAt).not.toBeNull()
          ended ||= push.state !== 'sending' && push.state !== 'waiting'
        }
        expect(claims).toBeLessThanOrEqual(1)
      }),
      { numRuns: 3_000, seed: 7 },
    )
    expect(allowedRuns).toBeGreaterThan(50)
  })
})
