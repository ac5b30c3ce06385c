import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOUR, SECOND } from '../../src/clock.ts'
import { createFormTokens } from '../../src/portal/form-token.ts'
import { createMessages, type Message } from '../../src/portal/message.ts'
import { BadParameters, parseParameters } from '../../src/portal/parameters.ts'
import { SECRET } from './portal-under-test.ts'

describe(createFormTokens, () => {
  const time = { now: 1_000_000 }
  const tokens = createFormTokens(SECRET, () => time.now)
  const cookie = tokens.newCookie()

  it('accepts its own token with its own cookie, for a day', () => {
    const token = tokens.issue(cookie)
    expect(tokens.accepts([cookie], token)).toBe(true)
    time.now += 24 * HOUR
    expect(tokens.accepts([cookie], token)).toBe(true)
    time.now += 1
    expect(tokens.accepts([cookie], token)).toBe(false)
  })

  it('spells each token anew', () => {
    expect(tokens.issue(cookie)).not.toBe(tokens.issue(cookie))
  })

  it('row 57: refuses the token of another browser, of another server, of the future, and anything that is none', () => {
    const token = tokens.issue(cookie)
    expect(tokens.accepts([tokens.newCookie()], token)).toBe(false)
    expect(tokens.accepts([], token)).toBe(false)
    expect(tokens.accepts(['', cookie.slice(1)], token)).toBe(false)
    expect(tokens.accepts([cookie], createFormTokens('another secret', () => time.now).issue(cookie))).toBe(false)
    expect(tokens.accepts([cookie], createFormTokens(SECRET, () => time.now + 61_000).issue(cookie))).toBe(false)
    // A clock that was set back a little, or another process’s that is ahead, makes no page stale.
    expect(tokens.accepts([cookie], createFormTokens(SECRET, () => time.now + 2_000).issue(cookie))).toBe(true)
    expect(tokens.accepts([cookie], undefined)).toBe(false)
    fc.assert(fc.property(fc.base64String(), text => void expect(tokens.accepts([cookie], text)).toBe(false)))
  })

  it('refuses a token of which any bit is changed', () => {
    const bytes = Buffer.from(tokens.issue(cookie), 'base64url')
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes)
        changed.writeUInt8(changed.readUInt8(at) ^ flip, at)
        expect(tokens.accepts([cookie], changed.toString('base64url'))).toBe(false)
      }),
    )
  })
})

describe(createMessages, () => {
  const time = { now: 1_000_000 }
  const messages = createMessages(SECRET, () => time.now)
  const message: Message = { kind: 'wrong', username: 'alice"><script>', triesLeft: 2 }

  it('gives back what it sealed, for a minute', () => {
    const sealed = messages.seal(message)
    expect(messages.open(['garbage', sealed])).toEqual(message)
    time.now += 60 * SECOND - 1
    expect(messages.open([sealed])).toEqual(message)
    time.now += 1
    expect(messages.open([sealed])).toBeUndefined()
  })

  it('opens nothing that another wrote, and shows nothing of what it holds', () => {
    const sealed = messages.seal(message)
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('alice')
    expect(messages.open([createMessages('another secret', () => time.now).seal(message)])).toBeUndefined()
    const bytes = Buffer.from(sealed, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      expect(messages.open([changed.toString('base64url')])).toBeUndefined()
    }
  })

  it('fits into a cookie with the longest name that is kept', () => {
    expect(messages.seal({ ...message, username: '\u{1F6AA}'.repeat(128) }).length).toBeLessThan(2000)
  })
})

describe(parseParameters, () => {
  it('row 63: refuses a parameter that comes twice, as a list, or among too many', () => {
    for (const text of [
      'rd=a&rd=b',
      'rd=a&rd=a',
      'rd=&rd=https://evil.com',
      'rd=a&%72d=b',
      'rm[]=x',
      'rm%5B%5D=x',
      'rd[x][y]=1',
      'rd[0=1',
      'rd.x=1',
      'username=a&password=b&username=c',
      Array.from({ length: 3000 }, (_, i) => `p${i}=1`).join('&'),
    ])
      expect(() => parseParameters(text), text.slice(0, 40)).toThrow(BadParameters)
  })

  it('reads one value for each of its names, and drops what it does not know', () => {
    expect(parseParameters('rd=https%3A%2F%2Fone.example.com%2F%3Fa%3D1%26b%3D2&rm=GET&utm_source=x&x=1&x=2')).toEqual(
      new Map([
        ['rd', 'https://one.example.com/?a=1&b=2'],
        ['rm', 'GET'],
      ]),
    )
    expect(parseParameters('')).toEqual(new Map())
    expect(parseParameters('held')).toEqual(new Map([['held', '']]))
  })

  it('throws nothing else, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: fc.constantFrom('&', '=', '[', '.', '%', 'rd', 'rm', '\0', '\uD800') }),
        ),
        text => {
          try {
            parseParameters(text)
          } catch (error) {
            expect(error).toBeInstanceOf(BadParameters)
          }
        },
      ),
    )
  })
})
