import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { StoreDown } from '../../src/session/session.ts'
import { sessionRows } from '../../src/session/session-rows.ts'
import { node, type Running, start } from '../support/process.ts'
import {
  bearing,
  cookieOf,
  type House,
  live,
  nextTurn,
  nobody,
  openHouse,
  over,
  push,
  raised,
  secret,
  signIn,
  withCookies,
} from './house.ts'

const count = ({ intruder }: House, table: string) =>
  Number(intruder.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)

describe('the cookie', () => {
  it('is for the whole cookie domain, for https and for no script, until the browser is closed', async () => {
    const house = await openHouse()
    const { cookie } = await signIn(house)
    expect(cookie).toMatchObject({
      name: 'authelia_session',
      options: { domain: 'example.com', path: '/', secure: true, httpOnly: true, sameSite: 'lax' },
    })
    expect(cookie.options.maxAge ?? cookie.options.expires).toBeUndefined()
    expect((await signIn(house, 'alice', { domain: house.org })).cookie).toMatchObject({
      name: 'other',
      options: { domain: 'example.org', sameSite: 'strict' },
    })
  })

  it('lasts as long as the session with “remember me”, and what is left of it after a rise', async () => {
    const house = await openHouse({ wishes: { remember_me: '2d' } })
    const started = await signIn(house, 'alice', { remember: true })
    expect(started.cookie.options.maxAge).toBe((2 * DAY) / SECOND)
    house.now += HOUR
    expect((await raised(house.sessions, started, house.now)).cookie.options.maxAge).toBe((2 * DAY - HOUR) / SECOND)
  })

  it('holds an id that the store knows only by its hash', async () => {
    const house = await openHouse()
    const { cookie, session } = await signIn(house)
    const [id = ''] = cookie.value.split('.')
    expect(Buffer.from(id, 'base64url')).toHaveLength(32)
    const dump = JSON.stringify(house.intruder.prepare('SELECT * FROM postern_sessions').all())
    expect(dump).toContain(session.key)
    expect(dump).not.toContain(id)
    expect(house.logged()).not.toContain(id)
  })
})

describe('a new session', () => {
  it('row 67: has an id that nobody could know before, and what came with the request is dead', async () => {
    const house = await openHouse()
    const attacker = await signIn(house, 'mallory')
    const victim = await signIn(house, 'alice', { replaces: attacker.session })
    expect(victim.cookie.value).not.toBe(attacker.cookie.value)
    expect(house.sessions.find(bearing(attacker), house.com)).toMatchObject({ state: 'anonymous' })
    expect(house.sessions.find(bearing(victim), house.com)).toEqual(live(victim.session))
    const proved = await raised(house.sessions, victim, house.now)
    expect(proved.session).toMatchObject({ username: 'alice', level: 2 })
    expect(new Set([attacker, victim, proved].map(({ session }) => session.key)).size).toBe(3)
    expect(count(house, 'postern_sessions')).toBe(1)
  })

  it('row 67: never takes an id from a cookie, and carries over nothing of the one it replaces', async () => {
    const house = await openHouse()
    const before = await raised(house.sessions, await signIn(house, 'alice', { remember: true }), house.now)
    house.now += MINUTE
    const again = await signIn(house, 'alice', { replaces: before.session })
    expect(again.session).toMatchObject({ level: 1, remember: false, secondFactor: null, passwordAt: house.now })
  })

  it('row 74: of level 2 leaves the cookie of level 1 dead', async () => {
    const house = await openHouse()
    const stolen = await signIn(house)
    expect(house.sessions.find(bearing(stolen), house.com)).toEqual(live(stolen.session))
    await raised(house.sessions, stolen, house.now)
    expect(house.sessions.find(bearing(stolen), house.com)).toMatchObject({ state: 'anonymous' })
    expect(await house.sessions.lives(stolen.session.key)).toBe(false)
  })
})

describe('a rise of the level', () => {
  it('row 73: is done once, whoever tries at the same time', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, () => house.sessions.raise(started.session, push(house.now))),
    )
    expect(outcomes.filter(outcome => outcome !== 'ended')).toHaveLength(1)
    expect(count(house, 'postern_sessions')).toBe(1)
    expect(count(house, 'postern_session_activity')).toBe(1)
  })

  it.each(['push', 'phone', 'passcode', 'duo-allow', 'failmode'] as const)(
    'may be done again at level 2, by %s: a new record with the newer second factor, the same password and the same end',
    async how => {
      const house = await openHouse()
      const first = await house.sessions.raise((await signIn(house)).session, push(house.now))
      if (first === 'ended') throw new Error('the first rise was refused')
      house.now += MINUTE
      const factor = { how, at: house.now, said: 'again' }
      const second = await house.sessions.raise(first.session, factor)
      if (second === 'ended') throw new Error('the second rise was refused')
      expect(second.session).toEqual({ ...first.session, key: second.session.key, secondFactor: factor })
      expect(second.session.key).not.toBe(first.session.key)
      expect(house.sessions.find(bearing(second), house.com)).toEqual(live(second.session))
      expect(house.sessions.find(bearing(first), house.com)).toMatchObject({ state: 'anonymous' })
      expect(count(house, 'postern_sessions')).toBe(1)
    },
  )

  it.each<[string, (house: House) => unknown]>([
    ['a logout', async house => house.sessions.endAllOf('alice')],
    ['the expiration', house => (house.now += HOUR)],
    ['inactivity', house => (house.now += 5 * MINUTE)],
  ])('is refused after %s', async (_what, end) => {
    const house = await openHouse()
    const started = await signIn(house)
    await end(house)
    expect(await house.sessions.raise(started.session, push(house.now))).toBe('ended')
    expect(house.sessions.find(bearing(started), house.com)).toMatchObject({ state: 'anonymous' })
  })
})

describe('the end of a session', () => {
  it('row 71: counts at once for a cookie that was kept and is replayed, also with its life stretched', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    expect(house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
    const stretched = withCookies(`${cookieOf(started)}`, 'Max-Age=99999999', 'Expires=Fri, 31 Dec 9999 23:59:59 GMT')
    await house.sessions.end(started.session)
    expect(house.sessions.find(bearing(started), house.com)).toEqual(over('revoked'))
    expect(house.sessions.find(stretched, house.com)).toEqual(over('revoked'))
    await house.sessions.end(started.session)
  })

  it('is of all sessions of one person, and of nobody else', async () => {
    const house = await openHouse()
    const [one, two, bob] = [
      await signIn(house),
      await signIn(house, 'alice', { domain: house.org }),
      await signIn(house, 'bob'),
    ]
    expect(await house.sessions.endAllOf('alice')).toBe(2)
    expect(await house.sessions.endAllOf('alice')).toBe(0)
    expect(house.sessions.find(bearing(one), house.com)).toEqual(over('revoked'))
    expect(house.sessions.find(bearing(two), house.org)).toEqual(over('revoked'))
    expect(house.sessions.find(bearing(bob), house.com)).toEqual(live(bob.session))
  })

  it('row 72: is final: an activity stamp, a rise or a second write that come late bring nothing back', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    const found = house.sessions.find(bearing(started), house.com)
    if (!('session' in found)) throw new Error('live')
    house.now += 2 * MINUTE
    await house.sessions.end(found.session)
    house.sessions.touch(found.session)
    expect(await house.sessions.raise(found.session, push(house.now))).toBe('ended')
    expect(house.sessions.find(bearing(started), house.com)).toEqual(over('revoked'))
    expect(count(house, 'postern_sessions') + count(house, 'postern_session_activity')).toBe(0)
  })

  it('row 72, 73: wins in every order of a logout, a rise and stamps that come at once', async () => {
    const house = await openHouse()
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(['end', 'raise', 'touch', 'find', 'raise again'], { minLength: 2 }),
        async acts => {
          const started = await signIn(house)
          const results = await Promise.all(
            acts.map(act => {
              if (act === 'end') return house.sessions.end(started.session)
              if (act === 'touch') return house.sessions.touch(started.session)
              if (act === 'find') return house.sessions.find(bearing(started), house.com)
              return house.sessions.raise(started.session, push(house.now))
            }),
          )
          const rises = results.filter(result => result !== undefined && result !== 'ended' && 'cookie' in result)
          expect(rises.length).toBeLessThanOrEqual(1)
          const old = house.sessions.find(bearing(started), house.com)
          if (acts.includes('end') || rises.length > 0) expect(old).toMatchObject({ state: 'anonymous' })
          expect(count(house, 'postern_sessions')).toBe(count(house, 'postern_session_activity'))
          await house.sessions.endAllOf('alice')
          expect(count(house, 'postern_sessions') + count(house, 'postern_session_activity')).toBe(0)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('is cleared away a day later, in small steps', async () => {
    const house = await openHouse()
    for (let n = 0; n < 3; n++) await signIn(house)
    await house.sessions.end((await signIn(house)).session)
    expect(count(house, 'postern_sessions') + count(house, 'postern_revoked_sessions')).toBe(4)
    const rows = sessionRows(house.storage.sessions)
    const dayLater = house.now + HOUR + 1
    expect(rows.clear(house.now + HOUR, 2)).toBe(0)
    expect(rows.clear(dayLater, 2)).toBe(3)
    expect(rows.clear(dayLater, 2)).toBe(1)
    expect(
      ['postern_sessions', 'postern_session_activity', 'postern_revoked_sessions'].map(table => count(house, table)),
    ).toEqual([0, 0, 0])
  })
})

describe('activity', () => {
  const stamp = ({ intruder }: House) => intruder.prepare('SELECT seen_at FROM postern_session_activity').get()?.seen_at

  it('is written at most every tenth of the inactivity', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    const begun = house.now
    const visit = () => {
      const found = house.sessions.find(bearing(started), house.com)
      if (found instanceof Promise || found.state !== 'live') throw new Error('live')
      house.sessions.touch(found.session)
    }
    for (house.now = begun; house.now < begun + 30 * SECOND; house.now += SECOND) visit()
    expect(stamp(house)).toBe(begun)
    visit()
    expect(stamp(house)).toBe(begun + 30 * SECOND)
    house.now = begun + 30 * SECOND + 5 * MINUTE - 1
    visit()
    house.now += 5 * MINUTE - 1
    expect(house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
  })

  it('is written once a minute at most, however long the inactivity', async () => {
    const house = await openHouse({ wishes: { inactivity: '1h', expiration: '5h' } })
    const { session } = await signIn(house)
    const begun = house.now
    house.now += MINUTE - 1
    house.sessions.touch(session)
    expect(stamp(house)).toBe(begun)
    house.now += 1
    house.sessions.touch(session)
    expect(stamp(house)).toBe(begun + MINUTE)
  })

  it('of a session that inactivity has ended brings it not back', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    house.now += 5 * MINUTE
    house.sessions.touch(started.session)
    expect(house.sessions.find(bearing(started), house.com)).toEqual(over('inactive'))
  })

  it('is written every ten minutes with “remember me”, where only a list of sessions shows it', async () => {
    const house = await openHouse()
    const { session } = await signIn(house, 'alice', { remember: true })
    const begun = house.now
    house.now += 10 * MINUTE - 1
    house.sessions.touch(session)
    expect(stamp(house)).toBe(begun)
    house.now += 1
    house.sessions.touch(session)
    expect(stamp(house)).toBe(begun + 10 * MINUTE)
  })

  it('that cannot be written disturbs nobody', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    house.intruder.exec('BEGIN IMMEDIATE')
    house.now += MINUTE
    house.sessions.touch(started.session)
    expect(house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
    house.intruder.exec('ROLLBACK')
    await house.storage.close()
    house.now += MINUTE
    house.sessions.touch(started.session)
  })
})

describe('a record in the store', () => {
  const ways: Record<string, string> = {
    'is raised to level 2 by hand':
      'UPDATE postern_sessions SET level = 2, second_factor = \'{"how":"push","at":1,"said":""}\'',
    'is raised to level 2 without a factor': 'UPDATE postern_sessions SET level = 2',
    'is made another person’s': "UPDATE postern_sessions SET username = 'admin'",
    'is made another domain’s': "UPDATE postern_sessions SET cookie_domain = 'example.org'",
    'is made to last': 'UPDATE postern_sessions SET expires_at = expires_at + 99999999',
    'is made to be remembered': 'UPDATE postern_sessions SET remember = 1',
    'lost its authentication code': "UPDATE postern_sessions SET tag = ''",
    'has a cut authentication code': 'UPDATE postern_sessions SET tag = substr(tag, 1, 20)',
    'has a number that JavaScript has not': 'UPDATE postern_sessions SET expires_at = 9223372036854775807',
    'has a number with a fraction': 'UPDATE postern_sessions SET password_at = 1.5',
    'has a text where a number belongs': "UPDATE postern_sessions SET level = 'two'",
    'has bytes where a text belongs': "UPDATE postern_sessions SET username = x'00ff'",
    'has half a JSON': 'UPDATE postern_sessions SET second_factor = \'{"how":\'',
    'has a JSON with __proto__': 'UPDATE postern_sessions SET second_factor = \'{"__proto__":{"level":2}}\'',
    'lost its stamp of activity': 'DELETE FROM postern_session_activity',
    'has a stamp that is none': "UPDATE postern_session_activity SET seen_at = 'yesterday'",
  }
  it.each(Object.entries(ways))(
    'row 75: that %s is nobody, and an event, read anew or remembered',
    async (_what, statement) => {
      const house = await openHouse()
      const [fresh, remembered] = [await signIn(house), await signIn(house)]
      expect(house.sessions.find(bearing(remembered), house.com)).toEqual(live(remembered.session))
      house.intruder.exec(statement)
      await nextTurn()
      for (const started of [fresh, remembered]) {
        for (const _ of ['once', 'twice'])
          expect(await house.sessions.find(bearing(started), house.com)).toMatchObject({ state: 'anonymous' })
        expect(await house.sessions.lives(started.session.key)).toBe(false)
        expect(await house.sessions.raise(started.session, push(house.now))).toBe('ended')
      }
      expect(house.events('session.invalid-record').length).toBeGreaterThan(0)
      expect((await signIn(house)).session.username).toBe('alice')
    },
  )

  it('row 75: that carries the code of another record is nobody', async () => {
    const house = await openHouse()
    const one = await raised(house.sessions, await signIn(house, 'admin'), house.now)
    const other = await signIn(house, 'mallory')
    const columns = ['username', 'level', 'second_factor', 'password_at', 'expires_at', 'tag']
    house.intruder.exec(
      `UPDATE postern_sessions AS t SET ${columns.map(name => `${name} = s.${name}`).join(', ')}
       FROM postern_sessions AS s WHERE s.key = '${one.session.key}' AND t.key = '${other.session.key}'`,
    )
    await nextTurn()
    expect(house.sessions.find(bearing(other), house.com)).toMatchObject({ state: 'anonymous' })
    expect(house.sessions.find(bearing(one), house.com)).toEqual(live(one.session))
  })

  it('row 75: of another secret is nobody: its cookie is not ours', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    const other = await openHouse({ path: house.path, wishes: { secret: `${secret}, changed` } })
    expect(other.sessions.find(bearing(started), other.com)).toEqual(nobody)
  })
})

describe('several processes on one file', () => {
  /** Asks the other process; resolves with its answer. */
  function neighbour(house: House) {
    const config = JSON.stringify({
      secret,
      cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
    })
    const running: Running = start(node, [
      join(import.meta.dirname, 'neighbour.ts'),
      house.path,
      config,
      String(house.now),
    ])
    let answers = 0
    return async (order: Record<string, unknown>): Promise<unknown> => {
      await running.line(/^ready$/m)
      running.child.stdin?.write(`${JSON.stringify(order)}\n`)
      const [, text = ''] = await running.line(new RegExp(`^(?:[^]*?^answer (.*)$){${++answers}}`, 'm'))
      return JSON.parse(text)
    }
  }

  it('row 71: a logout in one counts at once in the other, remembered or not', async () => {
    const house = await openHouse()
    const ask = neighbour(house)
    const started = await signIn(house)
    const headers = bearing(started)
    expect(await ask({ do: 'find', headers })).toMatchObject({ state: 'live' })
    expect(house.sessions.find(headers, house.com)).toMatchObject({ state: 'live' })
    await ask({ do: 'end', headers })
    expect(house.sessions.find(headers, house.com)).toEqual(over('revoked'))

    const second = await signIn(house)
    expect(await ask({ do: 'find', headers: bearing(second) })).toMatchObject({ state: 'live' })
    await house.sessions.end(second.session)
    expect(await ask({ do: 'find', headers: bearing(second) })).toEqual(over('revoked'))
  })

  it('share what was started, and activity', async () => {
    const house = await openHouse()
    const other = await openHouse({ path: house.path })
    const started = await signIn(house)
    expect(other.sessions.find(bearing(started), other.com)).toEqual(live(started.session))
    house.now = other.now += 4 * MINUTE
    house.sessions.touch(started.session)
    house.now = other.now += 4 * MINUTE
    await nextTurn()
    expect(other.sessions.find(bearing(started), other.com)).toEqual(live(started.session))
  })

  it('wait for each other without holding the event loop, and give up with a clear error', {
    timeout: 30_000,
  }, async () => {
    const house = await openHouse()
    const started = await signIn(house)
    house.intruder.exec('BEGIN IMMEDIATE')
    let longestTurn = 0
    let last = performance.now()
    const timer = setInterval(() => {
      longestTurn = Math.max(longestTurn, performance.now() - last)
      last = performance.now()
    }, 1)
    const waiting = house.sessions.end(started.session)
    expect(house.sessions.find(bearing(started), house.com)).toEqual(live(started.session)) // readers never wait
    await expect(waiting).rejects.toBeInstanceOf(StoreDown)
    clearInterval(timer)
    expect(longestTurn).toBeLessThan(500)
    house.intruder.exec('ROLLBACK')
    await house.sessions.end(started.session)
    expect(house.sessions.find(bearing(started), house.com)).toEqual(over('revoked'))
  })
})

describe('a store that is down', () => {
  it('is told apart from “nobody”, for everything that needs it', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    house.sessions.find(bearing(started), house.com)
    await nextTurn()
    await house.storage.close()
    expect(() => house.sessions.find(bearing(started), house.com)).toThrow(StoreDown)
    await expect(signIn(house)).rejects.toBeInstanceOf(StoreDown)
    await expect(house.sessions.raise(started.session, push(house.now))).rejects.toBeInstanceOf(StoreDown)
    await expect(house.sessions.end(started.session)).rejects.toBeInstanceOf(StoreDown)
    await expect(house.sessions.endAllOf('alice')).rejects.toBeInstanceOf(StoreDown)
    await expect(house.sessions.lives(started.session.key)).rejects.toBeInstanceOf(StoreDown)
    expect(house.sessions.find(['Host', 'one.example.com'], house.com)).toEqual(nobody)
    expect(house.logged()).toContain('the session store does not answer')
  })
})
