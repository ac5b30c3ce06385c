import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { type SeenSession, type Started, StoreDown } from '../../src/session/session.ts'
import { until } from '../support/process.ts'
import {
  bearing,
  cookieOf,
  type House,
  live,
  nextTurn,
  nobody,
  over,
  push,
  raised,
  signIn,
  stores,
  withCookies,
} from './house.ts'

describe.each(stores())('in %s', (_store, openHouse) => {
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
      const dump = await house.dump()
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
      expect(await house.sessions.find(bearing(attacker), house.com)).toMatchObject({ state: 'anonymous' })
      expect(await house.sessions.find(bearing(victim), house.com)).toEqual(live(victim.session))
      const proved = await raised(house.sessions, victim, house.now)
      expect(proved.session).toMatchObject({ username: 'alice', level: 2 })
      expect(new Set([attacker, victim, proved].map(({ session }) => session.key)).size).toBe(3)
      expect(await house.count('records')).toBe(1)
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
      expect(await house.sessions.find(bearing(stolen), house.com)).toEqual(live(stolen.session))
      await raised(house.sessions, stolen, house.now)
      expect(await house.sessions.find(bearing(stolen), house.com)).toMatchObject({ state: 'anonymous' })
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
      expect(await house.count('records')).toBe(1)
      expect(await house.count('stamps')).toBe(1)
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
        expect(await house.sessions.find(bearing(second), house.com)).toEqual(live(second.session))
        expect(await house.sessions.find(bearing(first), house.com)).toMatchObject({ state: 'anonymous' })
        expect(await house.count('records')).toBe(1)
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
      expect(await house.sessions.find(bearing(started), house.com)).toMatchObject({ state: 'anonymous' })
    })
  })

  describe('the end of a session', () => {
    it('row 71: counts at once for a cookie that was kept and is replayed, also with its life stretched', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      const stretched = withCookies(`${cookieOf(started)}`, 'Max-Age=99999999', 'Expires=Fri, 31 Dec 9999 23:59:59 GMT')
      await house.sessions.end(started.session)
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('revoked'))
      expect(await house.sessions.find(stretched, house.com)).toEqual(over('revoked'))
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
      expect(await house.sessions.find(bearing(one), house.com)).toEqual(over('revoked'))
      expect(await house.sessions.find(bearing(two), house.org)).toEqual(over('revoked'))
      expect(await house.sessions.find(bearing(bob), house.com)).toEqual(live(bob.session))
    })

    it('row 72: is final: an activity stamp, a rise or a second write that come late bring nothing back', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      const found = await house.sessions.find(bearing(started), house.com)
      if (!('session' in found)) throw new Error('live')
      house.now += 2 * MINUTE
      await house.sessions.end(found.session)
      house.sessions.touch(found.session)
      expect(await house.sessions.raise(found.session, push(house.now))).toBe('ended')
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('revoked'))
      expect(await house.count('records')).toBe(0)
      expect(await house.count('stamps')).toBe(0)
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
            const old = await house.sessions.find(bearing(started), house.com)
            if (acts.includes('end') || rises.length > 0) expect(old).toMatchObject({ state: 'anonymous' })
            expect(await house.count('records')).toBe(await house.count('stamps'))
            await house.sessions.endAllOf('alice')
            expect(await house.count('records')).toBe(0)
            expect(await house.count('stamps')).toBe(0)
          },
        ),
        { numRuns: 40 },
      )
    })
  })

  describe('activity', () => {
    it('is written at most every tenth of the inactivity', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      const begun = house.now
      const visit = async () => {
        const found = await house.sessions.find(bearing(started), house.com)
        if (found.state !== 'live') throw new Error('live')
        house.sessions.touch(found.session)
      }
      for (house.now = begun; house.now < begun + 30 * SECOND; house.now += SECOND) await visit()
      expect(await house.stamp(started.session)).toBe(begun)
      await visit()
      expect(await house.stamp(started.session)).toBe(begun + 30 * SECOND)
      house.now = begun + 30 * SECOND + 5 * MINUTE - 1
      await visit()
      house.now += 5 * MINUTE - 1
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
    })

    it('is written once a minute at most, however long the inactivity', async () => {
      const house = await openHouse({ wishes: { inactivity: '1h', expiration: '5h' } })
      const { session } = await signIn(house)
      const begun = house.now
      house.now += MINUTE - 1
      house.sessions.touch(session)
      expect(await house.stamp(session)).toBe(begun)
      house.now += 1
      house.sessions.touch(session)
      expect(await house.stamp(session)).toBe(begun + MINUTE)
    })

    it('of a session that inactivity has ended brings it not back', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      house.now += 5 * MINUTE
      house.sessions.touch(started.session)
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('inactive'))
    })

    it('is written every ten minutes with “remember me”, where only a list of sessions shows it', async () => {
      const house = await openHouse()
      const { session } = await signIn(house, 'alice', { remember: true })
      const begun = house.now
      house.now += 10 * MINUTE - 1
      house.sessions.touch(session)
      expect(await house.stamp(session)).toBe(begun)
      house.now += 1
      house.sessions.touch(session)
      expect(await house.stamp(session)).toBe(begun + 10 * MINUTE)
    })
  })

  describe('the sessions of a person', () => {
    it('are listed with where they began and when they were active, the last one first, and no other’s', async () => {
      const house = await openHouse()
      const first = await signIn(house, 'alice', { browser: 'Safari on iPhone' })
      house.now += MINUTE
      const second = await signIn(house, 'alice', { domain: house.org })
      await signIn(house, 'bob')
      await house.sessions.end((await signIn(house)).session)
      house.now += MINUTE
      house.sessions.touch(first.session)
      await until(async () => (await house.stamp(first.session)) === house.now, 'it is stamped')
      expect(await house.sessions.list('alice')).toEqual([
        { session: first.session, seenAt: house.now },
        { session: second.session, seenAt: house.now - MINUTE },
      ])
      expect(first.session).toMatchObject({ browser: 'Safari on iPhone', ip: '192.0.2.7' })
      expect(await house.sessions.list('nobody')).toEqual([])
      house.now += 5 * MINUTE
      expect(await house.sessions.list('alice')).toEqual([])
    })

    it('keep where they began through a rise, and where it is not known', async () => {
      const house = await openHouse()
      const login = { username: 'alice', credential: 'c', remember: false, browser: 'curl', ip: undefined }
      const started = await house.sessions.start(house.com, login, null)
      const proved = await raised(house.sessions, started, house.now)
      const [seen] = await house.sessions.list('alice')
      expect(seen?.session).toEqual(proved.session)
      expect(seen?.session).toMatchObject({ browser: 'curl', ip: undefined })
    })

    it('end all but one', async () => {
      const house = await openHouse()
      const [own, other, third] = [await signIn(house), await signIn(house), await signIn(house)]
      const bob = await signIn(house, 'bob')
      expect(await house.sessions.endAllOf('alice', { except: own.session.key })).toBe(2)
      expect(await house.sessions.find(bearing(own), house.com)).toEqual(live(own.session))
      expect(await house.sessions.find(bearing(bob), house.com)).toEqual(live(bob.session))
      for (const ended of [other, third])
        expect(await house.sessions.find(bearing(ended), house.com)).toEqual(over('revoked'))
    })

    it('are listed for an administrator, and found by the beginning of a key', async () => {
      const house = await openHouse()
      const begun: Started[] = []
      for (const name of ['alice', 'bob', 'carol']) {
        begun.push(await signIn(house, name))
        house.now += 1
      }
      const keys = (seen: readonly SeenSession[]) => seen.map(({ session }) => session.key)
      expect(keys(await house.sessions.listAll(10))).toEqual(begun.map(({ session }) => session.key).reverse())
      expect(await house.sessions.listAll(2)).toHaveLength(2)
      expect(await house.sessions.listAll(0)).toEqual([])
      const { key } = (begun[1] ?? (await signIn(house))).session
      expect(keys(await house.sessions.withKeyPrefix(key.slice(0, 12)))).toEqual([key])
      expect(keys(await house.sessions.withKeyPrefix(key))).toEqual([key])
      for (const none of ['', '*', '%', key.toLowerCase() === key ? 'x' : key.toLowerCase(), `${key}x`, `${key}}`, '{'])
        expect(await house.sessions.withKeyPrefix(none), none).toEqual([])
    })

    it('are no more than max_sessions_per_user: the one with the oldest password ends, and says so', async () => {
      const house = await openHouse({ wishes: { max_sessions_per_user: 2 } })
      const first = await signIn(house)
      house.now += SECOND
      const second = await signIn(house, 'alice', { domain: house.org })
      house.now += SECOND
      const proved = await raised(house.sessions, first, house.now) // no new sign-in, and the oldest password still
      const bob = await signIn(house, 'bob')
      expect(house.events('session.ended-by-limit')).toEqual([])
      const third = await signIn(house)
      expect(await house.sessions.find(bearing(proved), house.com)).toEqual(over('revoked'))
      expect(await house.sessions.find(bearing(second), house.org)).toEqual(live(second.session))
      expect(await house.sessions.find(bearing(third), house.com)).toEqual(live(third.session))
      expect(await house.sessions.find(bearing(bob), house.com)).toEqual(live(bob.session))
      expect(house.events('session.ended-by-limit')).toMatchObject([{ username: 'alice', count: 1 }])
      // One that takes the place of another is no further one; one that is over for the time does not count.
      const fourth = await signIn(house, 'alice', { replaces: third.session })
      house.now += 6 * MINUTE
      const fifth = await signIn(house)
      expect(await house.sessions.list('alice')).toMatchObject([{ session: fifth.session }])
      expect(await house.sessions.lives(fourth.session.key)).toBe(false)
      expect(house.events('session.ended-by-limit')).toHaveLength(1)
    })

    it('are never fewer than that when many begin at once, and that few with the next at the latest', async () => {
      const house = await openHouse({ wishes: { max_sessions_per_user: 3 } })
      await Promise.all(Array.from({ length: 10 }, () => signIn(house)))
      expect((await house.sessions.list('alice')).length).toBeGreaterThanOrEqual(3)
      house.now += 1
      await signIn(house)
      expect((await house.sessions.list('alice')).length).toBe(3)
    })
  })

  describe('row 163: two Posterns with different secrets on one store', () => {
    async function pair(between: (house: House) => Promise<void>) {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      onTestFinished(() => void vi.useRealTimers())
      const house = await openHouse()
      const started = await signIn(house)
      await between(house)
      const other = await house.another({ wishes: { secret: 'another secret, of the same length or more' } })
      return { house, other, started }
    }
    const named = (house: House) => house.logged().includes('session-secrets')

    it('know nothing of each other’s sessions, and both say so, once', async () => {
      const { house, other, started } = await pair(async () => {})
      expect(await other.sessions.find(bearing(started), other.com)).toEqual(nobody)
      expect(await other.sessions.lives(started.session.key)).toBe(false)
      expect(await other.sessions.raise(started.session, push(other.now))).toBe('ended')
      expect(await other.sessions.list('alice')).toEqual([])
      expect(named(house) || named(other)).toBe(false)
      for (const _minute of [1, 2, 3]) {
        house.now = other.now += MINUTE
        vi.advanceTimersByTime(MINUTE)
        await pause(50)
      }
      await until(() => named(house) && named(other), 'both have said it')
      for (const { logged } of [house, other]) expect(logged().split('"session-secrets"')).toHaveLength(2)
    })

    it('are told apart from one whose secret was changed', async () => {
      const { other, started } = await pair(({ sessions }) => sessions.close())
      for (const _minute of [1, 2]) {
        other.now += MINUTE
        vi.advanceTimersByTime(MINUTE)
        await pause(50)
      }
      expect(named(other)).toBe(false)
      expect(await other.sessions.find(bearing(started), other.com)).toEqual(nobody)
      expect(await other.dump()).not.toContain('another secret')
    })
  })

  describe('a store that is down', () => {
    it('is told apart from “nobody”, for everything that needs it', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      await house.sessions.find(bearing(started), house.com)
      await nextTurn()
      await house.stopStore()
      await expect(async () => house.sessions.find(bearing(started), house.com)).rejects.toThrow(StoreDown)
      await expect(signIn(house)).rejects.toBeInstanceOf(StoreDown)
      await expect(house.sessions.raise(started.session, push(house.now))).rejects.toBeInstanceOf(StoreDown)
      await expect(house.sessions.end(started.session)).rejects.toBeInstanceOf(StoreDown)
      await expect(house.sessions.endAllOf('alice')).rejects.toBeInstanceOf(StoreDown)
      await expect(house.sessions.lives(started.session.key)).rejects.toBeInstanceOf(StoreDown)
      expect(await house.sessions.find(['Host', 'one.example.com'], house.com)).toEqual(nobody)
      // Of Redis it is told where its state changes.
      if (house.redis === null) expect(house.logged()).toContain('the session store does not answer')
    })
  })
})
