import { posix, win32 } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { READINGS_AT_MOST, readingsOf } from '../../src/access/readings.ts'
import { parseUrl } from '../../src/http/original-url.ts'
import { access, accessOf, object, strictness } from './rules.ts'

const LONG = process.env.POSTERN_LONG === '1'
const host = 'app.example.com'
/** What is public is open, what is secret is shut, the rest wants a password. */
const rules = access([
  { domain: [host], resources: ['^/secret'], policy: 'deny' },
  { domain: [host], resources: ['^/public(/|\\?|$)'], policy: 'bypass' },
  { domain: [host], policy: 'one_factor' },
])
/** The same from the other side: only what is public is open. */
const openOnly = access([{ domain: [host], resources: ['^/public(/|\\?|$)'], policy: 'bypass' }], 'two_factor')

const judged = (target: string) => rules.decide(null, object({ target })).policy
const openFor = (target: string) => openOnly.decide(null, object({ target })).policy

describe('a path that can be read in two ways', () => {
  it('the plain spellings, so that none of the following is shut for the wrong reason', () => {
    for (const open of [
      '/public',
      '/public/',
      '/public/x',
      '/public?x',
      '/public/%20',
      '/public/%C3%BC',
      '/%70ublic/x',
    ])
      expect([open, judged(open), openFor(open)]).toEqual([open, 'bypass', 'bypass'])
    for (const shut of ['/secret', '/secret/', '/secrets', '/secret?/public', '/%73ecret'])
      expect([shut, judged(shut), openFor(shut)]).toEqual([shut, 'deny', 'two_factor'])
    expect(judged('/other')).toBe('one_factor')
  })

  it.each([
    [
      'row 29: dots',
      [
        '/public/../secret',
        '/public/%2e%2e/secret',
        '/public/.%2E/secret',
        '/public/./../secret',
        '/public/x/../../secret',
        '/../secret',
        '/./secret',
        '/public/../secret/.',
      ],
    ],
    [
      'row 30: an encoded slash',
      ['/public%2F..%2fsecret', '/public/..%2fsecret', '/public%2f..%2Fsecret', '/%2fsecret', '/public/..%2F./secret'],
    ],
    [
      'row 31: what is decoded a second time',
      [
        '/public/%252e%252e/secret',
        '/public%25%32%66..%252fsecret',
        '/public/..%252fsecret',
        '/%2573ecret',
        '/public/%252e%252e%252fx/../secret',
      ],
    ],
    ['row 32: slashes', ['//secret', '///secret', '/public//../secret', '/public/..//secret', '/public//..//secret']],
    [
      'row 33: backslashes',
      ['/public\\..\\secret', '/public%5c..%5csecret', '/public/..\\secret', '/\\secret', '/public%255c..%255csecret'],
    ],
    [
      'row 34: parameters',
      [
        '/public;/../secret',
        '/public/..;/secret',
        '/secret;x=.css',
        '/public/..;a=b;c/secret',
        '/public/..%3b/secret',
        '/public;x=%2f../secret',
        '/public/..;%2fsecret',
        '/;x/secret',
      ],
    ],
    [
      'row 36: an encoded question mark',
      ['/secret%3f.css', '/secret%3F/../x.css', '/secret%253fx', '/secret%3f/../public/x'],
    ],
    ['row 37: an encoded number sign', ['/public%23/../secret', '/secret%23/../public', '/secret%2523/../public/x']],
  ])('%s: the strictest reading decides', (_row, spellings) => {
    for (const spelling of spellings) {
      expect(parseUrl(`https://${host}${spelling}`), spelling).toBeTypeOf('object')
      expect([spelling, judged(spelling)]).toEqual([spelling, 'deny'])
      expect([spelling, openFor(spelling)]).toEqual([spelling, 'two_factor'])
    }
  })

  it('row 36: an encoded question mark does not begin the query', () => {
    const css = access([{ domain: [host], resources: ['^/[a-z]+(\\?.*)?$'], policy: 'bypass' }], 'two_factor')
    expect(css.decide(null, object({ target: '/page?x' })).policy).toBe('bypass')
    expect(css.decide(null, object({ target: '/page%3fx' })).policy).toBe('two_factor')
  })

  it('row 37: a raw number sign does not come here', () => {
    expect(parseUrl(`https://${host}/secret#.css`)).toBe('malformed')
    expect(parseUrl(`https://${host}/public#/../secret`)).toBe('malformed')
  })

  it.each(['/public/%ff', '/public/%ed%a0%80', '/public/%C3', '/public/%e2%82', '/public/%fe%fe/secret'])(
    'row 38: %s is not UTF-8, and no bypass',
    target => {
      expect(judged(target)).not.toBe('bypass')
      expect(openFor(target)).not.toBe('bypass')
      expect(rules.decide(null, object({ target }))).toMatchObject({ policy: 'deny', unclear: true })
      expect(judged(target.replace('/public', '/other'))).toBe('one_factor')
    },
  )

  it.each([
    '/public/%c0%ae%c0%ae/secret',
    '/other/%c0%af',
    '/other/%e0%80%af',
    '/other/%F0%80%80%AF',
    '/other/%25c0%25af',
  ])('row 38: %s is overlong UTF-8, which some read as dots and slashes: refused', target => {
    expect(rules.decide(null, object({ target }))).toMatchObject({ policy: 'deny', unclear: true, bySubject: false })
  })

  it('row 38: text is matched byte for byte: no case, no width, no normal form', () => {
    const exact = access([{ domain: [host], resources: ['^/café$', '^/K$'], policy: 'bypass' }], 'two_factor')
    const asked = (path: string) => exact.decide(null, object({ target: encodeURI(path) })).policy
    expect([asked('/café'), asked('/K')]).toEqual(['bypass', 'bypass'])
    expect(['/cafe\u0301', '/CAFÉ', '/k', '/\u212A', '/ｋ'].map(asked)).toEqual(Array(5).fill('two_factor'))
    expect(judged('/%EF%BC%8E%EF%BC%8E/secret')).toBe('one_factor') // full-width dots are letters
    expect(judged('/public/%EF%BC%8E%EF%BC%8E/secret')).toBe('bypass')
  })

  it('row 39: no path is the path /', () => {
    const home = access([{ domain: [host], resources: ['^/$', '^/\\?'], policy: 'bypass' }])
    for (const text of [`https://${host}`, `https://${host}?x=1`, `https://${host}/`]) {
      const url = parseUrl(text)
      if (typeof url !== 'object') throw new Error(url)
      expect(home.decide(null, object({ target: url.target })).policy, text).toBe('bypass')
    }
  })

  it('row 35: an expression sees the query too, as in Authelia; check warns of it', () => {
    const css = access([{ domain: [host], resources: ['\\.css(\\?.*)?$'], policy: 'bypass' }], 'two_factor')
    expect(css.decide(null, object({ target: '/secret?x=.css' })).policy).toBe('bypass')
    const bound = access([{ domain: [host], resources: ['^[^?]*\\.css(\\?.*)?$'], policy: 'bypass' }], 'two_factor')
    expect(bound.decide(null, object({ target: '/a.css?x' })).policy).toBe('bypass')
    expect(bound.decide(null, object({ target: '/secret?x=.css' })).policy).toBe('two_factor')
    expect(bound.decide(null, object({ target: '/secret%3fx=.css' })).policy).toBe('two_factor')
  })

  it('looks for no readings where no rule of the host has resources: what cannot be told apart does not matter there', () => {
    const plain = access([{ domain: [host], policy: 'bypass' }])
    expect(plain.decide(null, object({ target: '/%ff//..;%252f' })).policy).toBe('bypass')
    const other = access([
      { domain: ['other.example.com'], resources: ['^/'], policy: 'deny' },
      { domain: [host], methods: ['POST'], resources: ['^/'], policy: 'deny' },
      { domain: [host], policy: 'bypass' },
    ])
    expect(other.decide(null, object({ target: '/%ff' })).policy).toBe('bypass')
    expect(other.decide(null, object({ target: '/%ff', method: 'POST' })).policy).toBe('deny')
  })

  it('names the reading that decided', () => {
    expect(rules.decide(null, object({ target: '/public/..;/secret' })).why).toBe(
      'rule 1 (app.example.com) says deny, when the path is read otherwise: without ;parameters',
    )
  })
})

describe('what the readings of one path add up to', () => {
  const graded = accessOf({
    default_policy: 'one_factor',
    rules: [
      { domain: host, policy: 'one_factor', resources: '^/a', max_age: '1h' },
      { domain: host, policy: 'two_factor', resources: '^/b', max_age: '2h', factors: 'duo' },
      { domain: host, policy: 'two_factor', resources: '^/c' },
      { domain: host, policy: 'deny', resources: '^/d', subject: 'user:john' },
      { domain: host, policy: 'deny', resources: '^/e' },
    ],
  })
  const of = (target: string, subject: Parameters<typeof graded.decide>[0] = null) =>
    graded.decide(subject, object({ target }))

  it('is the strictest policy, the shortest age and every factor', () => {
    const hour = 3_600_000
    expect(of('/a/..;/b')).toMatchObject({ policy: 'two_factor', rule: 2, maxAge: hour, factors: ['duo'] })
    expect(of('/b/..;/a')).toMatchObject({ policy: 'two_factor', rule: 2, maxAge: hour, factors: ['duo'] })
    expect(of('/c/..;/a')).toMatchObject({ policy: 'two_factor', rule: 3, maxAge: hour, factors: [] })
    expect(of('/b/..;/c')).toMatchObject({ policy: 'two_factor', rule: 2, maxAge: 2 * hour, factors: ['duo'] })
    expect(of('/c/..;/b')).toMatchObject({ policy: 'two_factor', rule: 3, maxAge: 2 * hour, factors: ['duo'] })
  })

  it('is the strictest for this subject', () => {
    expect(of('/a/..;/d', { username: 'john', groups: [] }).policy).toBe('deny')
    expect(of('/a/..;/d', { username: 'bob', groups: [] }).policy).toBe('one_factor')
  })

  it('sends nobody to log in whom another reading denies for good', () => {
    expect(of('/d')).toMatchObject({ policy: 'deny', bySubject: true })
    expect(of('/d/..;/a')).toMatchObject({ policy: 'deny', bySubject: true })
    expect(of('/d/..;/e')).toMatchObject({ policy: 'deny', bySubject: false })
    expect(of('/e/..;/d')).toMatchObject({ policy: 'deny', bySubject: false })
  })
})

describe(readingsOf, () => {
  it.each([
    '/',
    '/a',
    '/a/b.c/',
    '/.well-known/x',
    '/a..b/...',
    '/a?b',
    '/a?b=/../;%2f//\\',
    '/a-_~!$&\'()*+,=:@"|^`{}<>',
  ])('finds one in %s', target => {
    expect(readingsOf(target).list).toEqual([{ resource: target, how: '' }])
  })

  it.each([
    ['/a%20b', '/a b'],
    ['/%41', '/A'],
    ['/%e2%82%ac?%e2', '/€?%e2'],
    ['/a?', '/a'],
    ['/a%25b', '/a%b'],
  ])('finds one in %s: %s', (target, resource) => {
    expect(readingsOf(target).list).toEqual([{ resource, how: '' }])
  })

  it.each([
    ['/a/./b/../c/', '/a/c/'],
    ['/a//b', '/a/b'],
    ['/a/..', '/'],
    ['/a/../', '/'],
    ['/..', '/'],
    ['//', '/'],
    ['/a/b/..', '/a'],
    ['/a%2fb', '/a/b'],
    ['/a/%2e%2e/b', '/b'],
    ['/a%3fb?c', '/a?b?c'],
    ['/a;b/c', '/a;b/c'],
    ['/a%252fb', '/a%2fb'],
  ])('begins with the plain one, as Authelia reads it: %s is %s', (target, resource) => {
    expect(readingsOf(target).list[0]).toEqual({ resource, how: '' })
  })

  it.each([
    ['/a%3f/../b', ['/b', '/a', '/a?/../b', '/a%3F/../b']],
    ['/a%23/../b', ['/b', '/a']],
    ['/a%3fb%23c', ['/a?b#c', '/a%3Fb%23c', '/a', '/a?b']],
    ['/a/../b', ['/b', '/a/../b']],
    ['/a/.', ['/a', '/a/', '/a/.']],
    ['/a/b/..', ['/a', '/a/']],
    ['/a//b', ['/a/b', '/a//b']],
    ['/a//../b', ['/b', '/a/b', '/a//../b']],
    ['/a//b/..//c', ['/a/c', '/a///c']],
    ['/a\\b%5cc', ['/a\\b\\c', '/a/b/c', '/a/b\\c']],
    ['/a%2fb', ['/a/b', '/a%2fb']],
    ['/a%252fb', ['/a%2fb', '/a/b']],
    ['/a;x/b;y?c;d', ['/a;x/b;y?c;d', '/a/b?c;d', '/a;x/b?c;d']],
    ['/a%3bx/b', ['/a;x/b', '/a/b']],
    ['/a/%2e%2e/../b', ['/b', '/a/b']],
    ['/a/%252e%252e/../b', ['/a/b', '/b']],
    ['/a//%2e%2e/../b', ['/a/b', '/a//b']],
    ['/a/%2e%2e//../b', ['/a/b', '/b']],
    ['/a/%252e%252e/%2e%2e/%2562', ['/a/%62', '/b', '/a/b']],
    ['/a//../b//c', ['/b/c', '/a/b//c', '/a/b/c', '/a//../b//c', '/a/../b/c']],
    ['/a;x=%2f../b', ['/b', '/a/b']],
    ['/a;x=%252f../%2562', ['/b', '/a/b']],
  ])('knows each way to read %s: %j', (target, resources) => {
    const found = readingsOf(target).list.map(({ resource }) => resource)
    expect(found).toEqual(expect.arrayContaining(resources))
    expect(new Set(found).size).toBe(found.length)
  })

  it('is bounded: more than 32 are refused, whatever the rules say', () => {
    const hostile = '/a%252f;b/..//%5c;c/.%3f%23/%2f../x;d'
    expect(readingsOf(hostile)).toMatchObject({ unclear: true })
    expect(rules.decide(null, object({ target: hostile }))).toMatchObject({ policy: 'deny', unclear: true, rule: null })
    const open = access([{ domain: [host], resources: ['.'], policy: 'bypass' }], 'bypass')
    expect(open.decide(null, object({ target: hostile }))).toMatchObject({ policy: 'deny', unclear: true })
  })

  it('takes bounded time, however many pieces a path of 4 KB has', () => {
    const times = ['/;', '/..;', '%252f', '//..', '\\..;%2f', '/%5c..%3f%23;', '%25252f'].map(piece => {
      const target = `/${piece.repeat(4096)}`.slice(0, 4090).replace(/%[0-9a-f]?$/, '')
      const start = performance.now()
      expect(readingsOf(target).list.length).toBeLessThanOrEqual(READINGS_AT_MOST)
      return performance.now() - start
    })
    expect(Math.max(...times)).toBeLessThan(500)
  })
})

describe('no spelling of a path opens what its cleaned spelling would not', () => {
  const piece = fc.constantFrom(
    ...[
      'public',
      'secret',
      'a',
      '..',
      '.',
      '',
      '%2e%2e',
      '%2E',
      '.%2e',
      '%252e%252e',
      '..;',
      ';x',
      'public;x=1',
      ';',
      '%3b',
    ],
    ...[
      '%5c',
      '\\',
      '..\\secret',
      '%2f',
      '%2F..%2fsecret',
      '%252f',
      '%255c',
      '%3f',
      '%23',
      'x%3f.css',
      '%20',
      '%C3%BC',
    ],
  )
  const glue = fc.constantFrom('/', '/', '/', '//', '%2f', '\\', '')
  const spelling = fc
    .array(fc.tuple(glue, piece), { minLength: 1, maxLength: 7 })
    .map(parts => `/${parts.flat().join('')}`.replace(/^\/+(?=\/)/, '/'))
    .filter(path => typeof parseUrl(`https://${host}${path}`) === 'object')

  // Each is how some server makes a file's path of what was sent, written with other means than the code under test.
  const decoded = (path: string) => decodeURIComponent(path)
  const decodedAgain = (path: string) => {
    try {
      return decodeURIComponent(decodeURIComponent(path))
    } catch {
      return decodeURIComponent(path)
    }
  }
  const withoutParameters = (path: string) =>
    path
      .split('/')
      .map(segment => segment.split(';')[0])
      .join('/')
  const servers: Record<string, (path: string) => string> = {
    'decodes once': path => posix.normalize(decoded(path)),
    'decodes twice': path => posix.normalize(decodedAgain(path)),
    'takes parameters off, then decodes': path => posix.normalize(decoded(withoutParameters(path))),
    'decodes, then takes parameters off': path => posix.normalize(withoutParameters(decoded(path))),
    'takes parameters off and decodes twice': path => posix.normalize(decodedAgain(withoutParameters(path))),
    'is Windows': path => win32.normalize(decoded(path)).replaceAll('\\', '/'),
    'is a browser': path => decoded(new URL(`https://h${path.replace(/[/\\]{2,}/g, '/')}`).pathname),
    'does not merge slashes': path => decoded(new URL(`https://h${path.replaceAll('\\', '%5C')}`).pathname),
    'splits at an encoded ?': path => posix.normalize(decoded(path).split('?')[0] ?? ''),
    'splits at an encoded #': path => posix.normalize(decoded(path).split('#')[0] ?? ''),
    'cleans before it decodes': path => posix.normalize(decoded(posix.normalize(path))),
  }

  it.each(Object.entries(servers))('for a server that %s', (_name, server) => {
    fc.assert(
      fc.property(spelling, path => {
        const served = server(path).replace(/^\/*/, '/')
        // As somebody would write it who means it; what still has two readings then says nothing here.
        const clean = served.split('/').map(encodeURIComponent).join('/')
        fc.pre(!/%(?:25|2F|5C|3B|3F|23)|\/\/|\/\.\.?(?:\/|$)/i.test(clean))
        for (const decide of [judged, openFor])
          expect(strictness[decide(path)], `${path} is served as ${clean}`).toBeGreaterThanOrEqual(
            strictness[decide(clean)],
          )
      }),
      LONG ? { numRuns: 20_000 } : { numRuns: 300, seed: 48 },
    )
  })

  it('and a plain path is read once, as itself', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,5}$/)
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), segments => {
        const path = `/${segments.join('/')}`
        expect(readingsOf(path).list).toEqual([{ resource: path, how: '' }])
      }),
    )
  })
})
