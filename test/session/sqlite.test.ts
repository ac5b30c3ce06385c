import { createHmac, hkdfSync } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { HOUR, MINUTE } from '../../src/clock.ts'
import { StoreDown } from '../../src/session/session.ts'
import { sessionRows } from '../../src/session/session-rows.ts'
import { node, type Running, start } from '../support/process.ts'
import { bearing, type House, live, nextTurn, nobody, openHouse, over, push, raised, secret, signIn } from './house.ts'

const count = ({ intruder }: House, table: string) =>
  Number(intruder.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)

describe('what ended', () => {
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

describe('an activity stamp', () => {
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

describe('two versions side by side', () => {
  /** As the version before this one wrote and checked it: nine columns, one code. */
  const tagOfBefore = (row: Record<string, unknown>) =>
    createHmac('sha256', Buffer.from(hkdfSync('sha256', secret, '', 'postern session record 1', 32)))
      .update(
        JSON.stringify(
          'key username credential level cookie_domain remember password_at second_factor expires_at'
            .split(' ')
            .map(column => row[column]),
        ),
      )
      .digest('base64url')

  it('the one before reads what this one writes', async () => {
    const house = await openHouse()
    const { session } = await raised(house.sessions, await signIn(house), house.now)
    const row = house.intruder.prepare('SELECT * FROM postern_sessions').get() ?? {}
    expect(row).toMatchObject({ key: session.key, tag: tagOfBefore(row), level: 2 })
  })

  it('this one reads what the one before writes, and raises it; where it began is not known', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    house.intruder.exec('UPDATE postern_sessions SET browser = NULL, ip = NULL, origin_tag = NULL')
    await nextTurn()
    const found = await house.sessions.find(bearing(started), house.com)
    expect(found).toEqual(live({ ...started.session, browser: 'Unknown browser', ip: undefined }))
    const proved = await raised(house.sessions, started, house.now)
    expect(await house.sessions.find(bearing(proved), house.com)).toMatchObject({ session: { level: 2 } })
  })

  it.each([
    ['another browser', "browser = 'Safari on iPhone'"],
    ['another address', "ip = '198.51.100.1'"],
    ['no address', 'ip = NULL'],
    ['a place without its code', 'origin_tag = NULL'],
    ['a code without its place', 'browser = NULL, ip = NULL'],
  ])('row 75: a record that was given %s by hand is nobody', async (_what, change) => {
    const house = await openHouse()
    const started = await signIn(house)
    house.intruder.exec(`UPDATE postern_sessions SET ${change}`)
    expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('revoked'))
    expect(house.events('session.invalid-record').length).toBeGreaterThan(0)
  })
})
