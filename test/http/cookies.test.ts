import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cookieDomainOf } from '../../src/http/cookie-domain.ts'
import { cookieValues, cookieWithout } from '../../src/http/cookies.ts'
import { config } from '../gate/house.ts'

const raw = (...lines: string[]) => lines.flatMap(line => ['Cookie', line])
const name = 'authelia_session'

describe(cookieValues, () => {
  it.each([
    ['one', ['authelia_session=A'], ['A']],
    ['among others', ['a=1; authelia_session=A;b=2'], ['A']],
    ['two, in order', ['authelia_session=A; authelia_session=B'], ['A', 'B']],
    ['over two lines', ['authelia_session=A', 'authelia_session=B'], ['A', 'B']],
    ['as sent: quotes, escapes and = belong to it', ['authelia_session="a%20=b"'], ['"a%20=b"']],
    ['none where the name is longer', ['xauthelia_session=A; authelia_sessionx=A; authelia_session =A'], []],
    ['none where the case differs', ['Authelia_Session=A'], []],
    ['none without a name', ['=authelia_session=A; authelia_session'], []],
    ['none behind other white space', ['\u00a0authelia_session=A; \tauthelia_session=B'], []],
    ['no quoting games', ['$Version=1; x="; authelia_session=A; y="'], ['A']],
    ['empty is a value', ['authelia_session='], ['']],
  ])('row 69: %s', (_title, lines, values) => {
    expect(cookieValues(raw(...lines), name)).toEqual(values)
  })

  it('stops at eight', () => {
    expect(cookieValues(raw('authelia_session=A; '.repeat(1000)), name)).toHaveLength(8)
  })
})

describe(cookieWithout, () => {
  it.each([
    ['nothing', [], ''],
    ['a header without it stays byte for byte', ['a=1;  b="x;y"; c'], 'a=1;  b="x;y"; c'],
    ['alone', ['authelia_session=A'], ''],
    ['between others', ['a=1; authelia_session=A; b=2'], 'a=1; b=2'],
    ['every one of them', ['authelia_session=A; a=1; authelia_session=B;authelia_session=C'], 'a=1'],
    ['over lines', ['authelia_session=A; a=1', 'b=2; authelia_session=B'], 'a=1; b=2'],
    ['with white space that some parsers forgive', ['authelia_session =A;\tauthelia_session=B; a=1'], 'a=1'],
    [
      'names that only look alike stay',
      ['xauthelia_session=A; authelia_sessionx=B; authelia_session=C'],
      'xauthelia_session=A; authelia_sessionx=B',
    ],
    ['its name in a value stays', ['a=authelia_session=A; authelia_session=C'], 'a=authelia_session=A'],
  ])('row 77: %s', (_title, lines, left) => {
    expect(cookieWithout(raw(...lines), name)).toBe(left)
  })

  it('row 77: leaves nothing under that name, and every other cookie in its order', () => {
    const pair = fc
      .tuple(fc.constantFrom(name, 'a', 'b', `${name}x`, ` ${name}`), fc.stringMatching(/^[a-z="]{0,4}$/))
      .map(parts => parts.join('='))
    fc.assert(
      fc.property(
        fc.array(
          fc.array(pair, { minLength: 1, maxLength: 4 }).map(pairs => pairs.join('; ')),
          { maxLength: 3 },
        ),
        lines => {
          const left = raw(cookieWithout(raw(...lines), name))
          expect(cookieValues(left, name)).toEqual([])
          for (const other of ['a', 'b', `${name}x`])
            expect(cookieValues(left, other)).toEqual(cookieValues(raw(...lines), other))
        },
      ),
    )
  })
})

describe(cookieDomainOf, () => {
  const of = (host: string) => cookieDomainOf(host, config.session.cookies)?.domain

  it('is the domain itself or an ancestor of the host', () => {
    expect(['example.com', 'one.example.com', 'a.b.example.org', 'x.app.localhost'].map(of)).toEqual([
      'example.com',
      'example.com',
      'example.org',
      'app.localhost',
    ])
  })

  it.each([
    'notexample.com',
    'example.com.evil.com',
    'evil-example.com',
    'x.localhost',
    'com',
    '',
    'example.co',
    '.com',
    'xexample.com',
  ])('row 44: %j is covered by none, label by label', host => {
    expect(of(host)).toBeUndefined()
  })
})
