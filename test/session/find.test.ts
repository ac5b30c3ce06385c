import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { StoreDown } from '../../src/session/session.ts'
import { bearing, cookieOf, live, nextTurn, nobody, over, raised, signIn, stores, withCookies } from './house.ts'

describe.each(stores())('in %s', (_store, openHouse) => {
  describe('who asks', () => {
    it('is who signed in, by the cookie as it was sent, and nothing is written for it', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      const before = await house.dump()
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      expect(await house.dump()).toEqual(before)
    })

    it('is nobody without a cookie', async () => {
      const { sessions, com } = await openHouse()
      expect(await sessions.find(['Host', 'one.example.com'], com)).toEqual(nobody)
    })

    it('row 66: is nobody with a cookie that was not signed here, and no store is asked about it', async () => {
      const house = await openHouse()
      const { cookie } = await signIn(house)
      const value = cookie.value
      const [id = '', signature = ''] = value.split('.')
      const forged = createHmac('sha256', 'another secret, of another server')
        .update(id)
        .digest('base64')
        .replaceAll('=', '')
      const swappedCase = signature.replace(/[a-zA-Z]/, letter =>
        letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
      )
      expect(await house.sessions.find(withCookies(`authelia_session=${value}`), house.com)).toMatchObject({
        state: 'live',
      })
      await house.stopStore() // a look-up would throw from here on
      const bad = [
        '',
        ' ',
        '""',
        'garbage',
        '%00',
        '\0',
        'x'.repeat(4096),
        `"${value}"`,
        id,
        `${id}.`,
        `.${signature}`,
        `${id}.${signature.slice(0, -1)}`,
        `${id}.${signature}=`,
        `${id}.${forged}`,
        `${id}.${swappedCase}`,
        `${id}.${'A'.repeat(43)}`,
        `A${id.slice(1)}.${signature}`,
        `${value}.${signature}`,
        `s:${value}`,
        ` ${value}`,
        encodeURIComponent(value).replaceAll('.', '%2E'),
        `${'é'.repeat(43)}.${signature}`,
      ].filter(text => text !== value)
      for (const text of bad)
        expect(await house.sessions.find(withCookies(`authelia_session=${text}`), house.com), text).toEqual(nobody)
      expect(house.events()).toEqual([])
    })

    it('row 66: whatever the cookie holds, it is nobody, without a store and without an error', async () => {
      const { sessions, com, stopStore } = await openHouse()
      await stopStore()
      const base64 = fc.string({ unit: fc.constantFrom(...'ABCabc019-_+/'), minLength: 43, maxLength: 43 })
      const value = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.tuple(base64, base64).map(parts => parts.join('.')),
      )
      await fc.assert(
        fc.asyncProperty(value, async text => {
          expect(await sessions.find(['Cookie', `authelia_session=${text}`], com)).toEqual(nobody)
        }),
      )
    })

    it('row 66: a look-up of a value that we did sign does throw while the store is down, so that the above proves something', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      await house.stopStore()
      await expect(async () => house.sessions.find(bearing(started), house.com)).rejects.toThrow(StoreDown)
    })

    it('row 68: with cookies of two people is nobody in either order, and an event', async () => {
      const house = await openHouse()
      const [alice, mallory] = [await signIn(house, 'alice'), await signIn(house, 'mallory')]
      for (const pair of [bearing(alice, mallory), bearing(mallory, alice)])
        expect(await house.sessions.find(pair, house.com)).toEqual(nobody)
      expect(house.events('session.ambiguous')).toHaveLength(2)
    })

    it('row 68: with two live sessions of one person is the one of the higher level, then the newer, in either order', async () => {
      const house = await openHouse()
      const first = await signIn(house)
      house.now += SECOND
      const newer = await signIn(house)
      house.now += SECOND
      const both = (a = first, b = newer) =>
        Promise.all([bearing(a, b), bearing(b, a)].map(async pair => house.sessions.find(pair, house.com)))
      expect(await both()).toEqual([live(newer.session), live(newer.session)])
      const proved = await raised(house.sessions, first, house.now)
      expect(await both(proved)).toEqual([live(proved.session), live(proved.session)])
      expect(house.events('session.ambiguous')).toEqual([])
    })

    it('row 68: is the same whatever tossed cookies stand beside the right one, in any order', async () => {
      const house = await openHouse()
      const alice = await signIn(house)
      const dead = await signIn(house, 'mallory')
      await house.sessions.end(dead.session)
      const tossed = [
        'authelia_session=',
        'authelia_session=garbage',
        cookieOf(dead),
        'authelia_session="x"',
        cookieOf(alice),
      ]
      await fc.assert(
        fc.asyncProperty(fc.shuffledSubarray(tossed), async others => {
          const at = others.length === 0 ? 0 : others.length % 2
          const pairs = [...others.slice(0, at), cookieOf(alice), ...others.slice(at)]
          expect(await house.sessions.find(withCookies(...pairs), house.com)).toEqual(live(alice.session))
          expect(await house.sessions.find(withCookies(...pairs.reverse()), house.com)).toEqual(live(alice.session))
        }),
      )
    })

    it('row 68: with eight cookies of the name or more is nobody, wherever the right one stands', async () => {
      const house = await openHouse()
      const right = cookieOf(await signIn(house))
      const junk = Array.from({ length: 7 }, (_, n) => `authelia_session=${n}`)
      expect(await house.sessions.find(withCookies(right, ...junk), house.com)).toEqual(nobody)
      expect(await house.sessions.find(withCookies(...junk, right), house.com)).toEqual(nobody)
      expect(await house.sessions.find(withCookies(...junk.slice(1), right), house.com)).toMatchObject({
        state: 'live',
      })
      expect(house.events('session.ambiguous')).toHaveLength(2)
    })

    it('row 69: reads the exact name only: no spaces of other alphabets, no $Version, no nameless pair makes or hides a cookie', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      const right = cookieOf(started)
      const tricks = [
        `\u2000${right}`,
        `\u00a0${right}`,
        `\t${right}`,
        `=${right}`,
        `${right.toUpperCase()}`,
        `Authelia_Session=${started.cookie.value}`,
        `__Host-${right}`,
        `authelia_session =${started.cookie.value}`,
        `authelia%5Fsession=${started.cookie.value}`,
        `$Version=1; x="a${right}b"`,
        `x="${right}"`,
        `x=${right}`,
      ]
      for (const trick of tricks) {
        expect(await house.sessions.find(withCookies(trick), house.com), trick).toEqual(nobody)
        expect(await house.sessions.find(withCookies(trick, right), house.com), trick).toEqual(live(started.session))
        expect(await house.sessions.find(withCookies(right, trick), house.com), trick).toEqual(live(started.session))
      }
      // In quotes, the semicolon ends the pair as everywhere: the inner one is a cookie of its own, as browsers send it.
      expect(await house.sessions.find(withCookies(`x="a; ${right}`), house.com)).toEqual(live(started.session))
    })

    it('row 69: reads all Cookie lines, in whatever case the header is spelt', async () => {
      const house = await openHouse()
      const started = await signIn(house)
      expect(await house.sessions.find(['cOOKIE', 'a=b', 'COOKIE', cookieOf(started)], house.com)).toEqual(
        live(started.session),
      )
    })

    it('row 70: is nobody with a cookie of another cookie domain, and an event', async () => {
      const house = await openHouse()
      const org = await signIn(house, 'alice', { domain: house.org })
      expect(await house.sessions.find(withCookies(cookieOf(org)), house.org)).toEqual(live(org.session))
      const carried = withCookies(`authelia_session=${org.cookie.value}`)
      for (const _ of ['read', 'remembered']) expect(await house.sessions.find(carried, house.com)).toEqual(nobody)
      expect(house.events('session.foreign-domain')).toMatchObject([
        { username: 'alice', host: 'example.com', detail: 'example.org' },
        { username: 'alice' },
      ])
      const com = await signIn(house)
      expect(
        await house.sessions.find(withCookies(`authelia_session=${org.cookie.value}`, cookieOf(com)), house.com),
      ).toEqual(live(com.session))
    })
  })

  describe('how long a session lives', () => {
    const MOVED = { inactivity: '5m', expiration: '1h', remember_me: '1d' }

    it('ends at the expiration, to the millisecond, however active somebody is', async () => {
      const house = await openHouse({ wishes: MOVED })
      const started = await signIn(house)
      const end = house.now + HOUR
      for (; house.now < end - 2 * MINUTE; house.now += 2 * MINUTE) {
        house.sessions.touch(started.session)
        await nextTurn()
        expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      }
      house.now = end - 1
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      house.now = end
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('expired'))
      expect(await house.sessions.lives(started.session.key)).toBe(false)
    })

    it('ends after inactivity, remembered or read anew', async () => {
      const house = await openHouse({ wishes: MOVED })
      const started = await signIn(house)
      house.now += 5 * MINUTE - 1
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      house.now += 1
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('inactive'))
      expect(await house.sessions.lives(started.session.key)).toBe(false)
    })

    it('counts from the password: a rise of the level does not move the end', async () => {
      const house = await openHouse({ wishes: MOVED })
      const started = await signIn(house)
      house.now += 4 * MINUTE
      const proved = await raised(house.sessions, started, house.now)
      expect(proved.session).toMatchObject({
        level: 2,
        passwordAt: started.session.passwordAt,
        expiresAt: started.session.expiresAt,
        secondFactor: { how: 'push', at: house.now },
      })
      house.now += 4 * MINUTE
      expect(await house.sessions.find(bearing(proved), house.com)).toEqual(live(proved.session)) // a rise is activity
    })

    it('knows no inactivity with “remember me”, and its own end', async () => {
      const house = await openHouse({ wishes: MOVED })
      const started = await signIn(house, 'alice', { remember: true })
      expect(started.session.expiresAt).toBe(house.now + 24 * HOUR)
      house.now += 24 * HOUR - 1
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(live(started.session))
      house.now += 1
      expect(await house.sessions.find(bearing(started), house.com)).toEqual(over('expired'))
    })

    it('ignores “remember me” where it is switched off', async () => {
      const house = await openHouse({ wishes: { ...MOVED, remember_me: -1 } })
      const started = await signIn(house, 'alice', { remember: true })
      expect(started.session).toMatchObject({ remember: false, expiresAt: house.now + HOUR })
      expect(started.cookie.options.maxAge).toBeUndefined()
    })

    it('row 161: is not longer for a clock that is set back', async () => {
      const house = await openHouse({ wishes: MOVED })
      const kept = await signIn(house, 'alice', { remember: true })
      house.now += 23 * HOUR
      expect(await house.sessions.find(bearing(kept), house.com)).toEqual(live(kept.session))
      house.now -= HOUR
      expect(await house.sessions.find(bearing(kept), house.com)).toEqual(live(kept.session))
      house.now += HOUR - 1
      expect(await house.sessions.find(bearing(kept), house.com)).toEqual(live(kept.session))
      house.now += 1
      expect(await house.sessions.find(bearing(kept), house.com)).toEqual(over('expired'))
      expect(house.logged()).toContain('set back')
    })

    it('row 161: is over when the clock is set forward or the machine slept, and the log says so', async () => {
      const house = await openHouse({ wishes: MOVED })
      const kept = await signIn(house, 'alice', { remember: true })
      house.now += 30 * SECOND
      expect(await house.sessions.find(bearing(kept), house.com)).toEqual(live(kept.session))
      expect(house.logged()).not.toContain('set forward')
      house.now += 25 * HOUR
      expect(await house.sessions.find(bearing(kept), house.com)).toEqual(over('expired'))
      expect(house.logged()).toContain('set forward')
    })

    it('row 161: is over when a clock was set back behind its password while nobody looked', async () => {
      const house = await openHouse({ wishes: MOVED })
      const started = await signIn(house)
      // As after a restart: nothing in memory tells.
      const second = await house.another({ wishes: MOVED, now: house.now - HOUR })
      expect(await second.sessions.find(bearing(started), second.com)).toEqual(over('expired'))
    })
  })
})
