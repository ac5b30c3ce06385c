import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromParts, type OriginalUrl, parseUrl, type UrlFault } from '../../src/http/original-url.ts'

const read = (url: OriginalUrl | UrlFault) =>
  typeof url === 'object' ? [url.host, url.port, url.target, url.path] : url

describe(parseUrl, () => {
  it.each([
    ['https://one.example.com/', 'one.example.com', undefined, '/', '/'],
    ['https://one.example.com/a/b?c=d?e', 'one.example.com', undefined, '/a/b?c=d?e', '/a/b'],
    ['HTTPS://ONE.Example.com/A', 'one.example.com', undefined, '/A', '/A'],
    ['wss://one.example.com:8443/socket', 'one.example.com', 8443, '/socket', '/socket'],
    ['https://a_b.x-y.example.com/', 'a_b.x-y.example.com', undefined, '/', '/'],
    ['https://xn--bcher-kva.example.com/', 'xn--bcher-kva.example.com', undefined, '/', '/'],
    ['https://one.example.com/?a=1,2', 'one.example.com', undefined, '/?a=1,2', '/'],
    [
      'https://one.example.com/a;jsessionid=1/b%2Fc',
      'one.example.com',
      undefined,
      '/a;jsessionid=1/b%2Fc',
      '/a;jsessionid=1/b%2Fc',
    ],
    ['http://one.postern.localhost:8080/', 'one.postern.localhost', 8080, '/', '/'],
    ['ws://one.localhost/', 'one.localhost', undefined, '/', '/'],
  ])('reads %s', (text, ...parts) => {
    expect(read(parseUrl(text))).toEqual(parts)
  })

  it('row 39: an empty path is /, also before a query', () => {
    expect(read(parseUrl('https://one.example.com'))).toEqual(['one.example.com', undefined, '/', '/'])
    expect(read(parseUrl('https://one.example.com?x=1'))).toEqual(['one.example.com', undefined, '/?x=1', '/'])
    for (const text of [
      '*',
      '/',
      '',
      'https:',
      'https://',
      'https:///',
      'https:/one.example.com/',
      'https:one.example.com',
      '//one.example.com/',
    ])
      expect(parseUrl(text)).toBe('malformed')
  })

  it('row 22: http is secure on *.localhost only, as in browsers', () => {
    for (const text of [
      'http://one.example.com/',
      'ws://one.example.com/',
      'http://localhost/',
      'http://notlocalhost/',
      'http://x.localhost.example.com/',
      'ftp://x.localhost/',
      'javascript://one.example.com/',
      'data://one.example.com/',
    ])
      expect(parseUrl(text)).toBe('not-secure')
  })
})

// Both readers end in one place; what a proxy puts into one string or into three is refused alike.
describe.each([
  ['in one header', (authority: string, target: string) => parseUrl(`https://${authority}${target}`)],
  ['in headers of their own', (authority: string, target: string) => fromParts('https', authority, target)],
])('a URL %s', (_title, from) => {
  const ofTarget = (target: string) => from('one.example.com', target)
  const ofHost = (authority: string) => from(authority, '/')

  it.each(['/%zz', '/%', '/%2', '/a%u0041', '/a?%', '/a?b=%4', '/%2%35'])(
    'row 27: refuses the escape in %s',
    target => {
      expect(ofTarget(target)).toBe('malformed')
    },
  )

  it('row 28: refuses every byte that is not visible ASCII, and an escaped NUL', () => {
    for (let code = 0; code < 0x100; code++) {
      const byte = String.fromCharCode(code)
      const visible = code > 0x20 && code < 0x7f
      for (const target of [`/${byte}x`, `/x?${byte}`]) {
        const parsed = ofTarget(target)
        if (!visible || byte === '#' || byte === '%') expect(parsed, JSON.stringify(target)).toBe('malformed')
        else expect(parsed, JSON.stringify(target)).toMatchObject({ target })
      }
    }
    for (const target of ['/%00', '/a%00b', '/a?b=%00']) expect(ofTarget(target)).toBe('malformed')
    for (const target of ['/\u017F', '/\u212A', '/\uFEFF', '/\u2028']) expect(ofTarget(target)).toBe('malformed')
  })

  it('row 37: refuses a raw #', () => {
    for (const target of ['/secret#.css', '/public#/../secret', '/?#', '#']) expect(ofTarget(target)).toBe('malformed')
    expect(ofTarget('/public%23/x')).toMatchObject({ path: '/public%23/x' })
  })

  it('row 40: folds the case of the host once', () => {
    expect(ofHost('TWO.Example.COM')).toMatchObject({ host: 'two.example.com', href: 'https://two.example.com/' })
  })

  it('row 41: a port or a final dot never changes the host', () => {
    for (const authority of [
      'two.example.com.',
      'two.example.com:443',
      'two.example.com:8443',
      'two.example.com.:1',
      'two.example.com:65535',
    ])
      expect(ofHost(authority)).toMatchObject({ host: 'two.example.com' })
    for (const port of [
      '',
      '0',
      '0443',
      '65536',
      '99999',
      '123456',
      '-1',
      '+1',
      '1e3',
      ' 1',
      '1 ',
      '０',
      '443:443',
      '0x1',
    ])
      expect(ofHost(`two.example.com:${port}`), port).toBe('malformed')
    expect(ofHost('two.example.com..')).toBe('malformed')
  })

  it.each([
    'two.example.com@public.example.com',
    'user:pw@public.example.com',
    '@public.example.com',
    'public.example.com\\',
    'public.example.com\\@two.example.com',
    'public.example.com ',
    ' public.example.com',
    'public.example.com,two.example.com',
    'public.example.com, two.example.com',
    'public.example.com\t',
    'public.example.com"',
    '',
    '.',
    '.example.com',
    'a..example.com',
    '-a.example.com',
    'a-.example.com',
  ])('row 42: %j is no host', authority => {
    expect(ofHost(authority)).toBe('malformed')
  })

  it.each([
    'public.exam%70le.com',
    'two。example。com',
    'ⓣwo.example.com',
    'two\u00ad.example.com',
    '\u212a.example.com',
    '\u017f.example.com',
    'b\u00fccher.example.com',
    'xn--.example.com',
  ])('row 43: %j is no host: never the one that URL() folds it to', authority => {
    expect(ofHost(authority)).toBe('malformed')
  })

  it.each([
    ['IPv6', '[::1]'],
    ['IPv6 with a zone', '[fe80::1%25e]'],
    ['a number, which browsers read as an address', '2130706433'],
    ['a short address', '127.1'],
    ['a hexadecimal one', '0x7f.0x1'],
    ['an octal one', '0177.0.0.1'],
    ['a hexadecimal last label', 'a.0X7F'],
    ['254 characters', `${'a.'.repeat(122)}example.com`],
    ['a label of 64', `${'a'.repeat(64)}.example.com`],
    ['ten thousand dots', '.'.repeat(10_000)],
    ['ten thousand labels', 'a.'.repeat(10_000)],
  ])('row 45: %s is no host', (_kind, authority) => {
    expect(['malformed', 'too-long']).toContain(ofHost(authority))
  })

  it('is at most 4 KB, and what is longer costs nothing', () => {
    expect(ofTarget(`/${'a'.repeat(4000)}`)).toMatchObject({ host: 'one.example.com' })
    expect(ofTarget(`/${'a'.repeat(4096)}`)).toBe('too-long')
    const start = performance.now()
    for (const text of ['/'.repeat(1e6), '%'.repeat(1e6), '/%4'.repeat(1e6)]) expect(ofTarget(text)).toBe('too-long')
    for (const text of ['a'.repeat(1e6), 'a-'.repeat(1e6), 'a.'.repeat(1e6)]) expect(ofHost(text)).toBe('too-long')
    expect(performance.now() - start).toBeLessThan(200)
  })

  it('takes linear time on what is just short enough', () => {
    const start = performance.now()
    for (const text of [
      'a'.repeat(4000),
      'a-'.repeat(2000),
      'a.'.repeat(2000),
      '_'.repeat(4000),
      `${'a-'.repeat(31)}.`.repeat(60),
    ])
      expect(ofHost(text)).toBe('malformed')
    for (const text of ['/%41'.repeat(1000), `/${'%4'.repeat(1900)}`, `/${'a'.repeat(4000)} `]) ofTarget(text)
    expect(performance.now() - start).toBeLessThan(200)
  })
})

describe(fromParts, () => {
  it('row 39: a target of its own is empty or begins with /', () => {
    expect(read(fromParts('https', 'one.example.com', ''))).toEqual(['one.example.com', undefined, '/', '/'])
    for (const target of ['no-slash', '?x=1', '*', 'https://x/', '.', '\\', '%2F', 'x/../..'])
      expect(fromParts('https', 'one.example.com', target)).toBe('malformed')
  })

  it('row 22: the scheme is one word', () => {
    expect(fromParts('HTTPS', 'one.example.com', '/')).toMatchObject({ scheme: 'https' })
    for (const scheme of ['', 'http', 'ws', 'https, http', 'https,https', ' https', 'https ', 'javascript', 'httpſ'])
      expect(fromParts(scheme, 'one.example.com', '/'), scheme).toBe('not-secure')
  })
})

describe('whatever is accepted', () => {
  const nasty = fc.constantFrom(
    ...[
      'a',
      'A',
      '0',
      '-',
      '_',
      '.',
      ':',
      '/',
      '?',
      '#',
      '@',
      '\\',
      '%',
      '%41',
      '%00',
      '%2e',
      ' ',
      '\t',
      '\n',
      '\r',
      '\0',
      '\x7f',
      '[',
      ']',
      '*',
      ',',
      ';',
      '"',
      "'",
      '<',
      '^',
      '`',
      '{',
      '|',
    ],
    ...[
      'é',
      '。',
      'ⓣ',
      'K',
      'ſ',
      '\u00ad',
      '\u200b',
      '\ufeff',
      '\ud800',
      '😀',
      'xn--',
      'xn--a',
      '0x',
      '127.0.0.1',
      'localhost',
      'example.com',
      '443',
      '65536',
    ],
  )
  const piece = (most: number) =>
    fc
      .array(fc.oneof(nasty, fc.string({ maxLength: 3, unit: 'binary' })), { maxLength: most })
      .map(parts => parts.join(''))
  const scheme = fc.constantFrom('https', 'wss', 'HTTPS', 'http', 'ws', 'https:', 'javascript', '')
  const host = fc.oneof(
    piece(6),
    piece(3).map(part => `${part}.example.com`),
    piece(3).map(part => `a${part}.example.com`),
    piece(2).map(part => `one.example.com${part}`),
  )

  function holds(parsed: OriginalUrl | UrlFault) {
    if (typeof parsed !== 'object') return
    // Visible ASCII only, and nothing that a header, an attribute or another parser takes for the end of a part.
    expect(parsed.href).toMatch(/^(?:https|wss|http|ws):\/\/[a-z0-9_.-]+(?::[1-9]\d{0,4})?\/[!"$-~]*$/)
    expect(parsed.href).toBe(
      `${parsed.scheme}://${parsed.host}${parsed.port === undefined ? '' : `:${parsed.port}`}${parsed.target}`,
    )
    expect(parsed.target.startsWith(parsed.path)).toBe(true)
    expect(parsed.path).not.toContain('?')
    const browser = new URL(parsed.href)
    expect([browser.hostname, browser.username, browser.password, browser.hash]).toEqual([parsed.host, '', '', ''])
    expect([undefined, browser.port === '' ? undefined : Number(browser.port)]).toContain(
      parsed.port === 443 || parsed.port === 80 ? undefined : parsed.port,
    )
    // Read again, it is the same: the gate, `rd` and the portal can't disagree.
    expect(parseUrl(parsed.href)).toEqual(parsed)
  }

  it('reads in a browser as the same host, holds no other character, and reads the same again', () => {
    fc.assert(
      fc.property(scheme, host, piece(6), (scheme, host, target) => holds(parseUrl(`${scheme}://${host}${target}`))),
      { numRuns: 4000 },
    )
    fc.assert(
      fc.property(scheme, host, piece(6), (scheme, host, target) => holds(fromParts(scheme, host, `/${target}`))),
      { numRuns: 4000 },
    )
    fc.assert(
      fc.property(piece(12), text => holds(parseUrl(text))),
      { numRuns: 2000 },
    )
  })

  it('is something, so that the properties above say something', () => {
    const valid = fc.tuple(fc.stringMatching(/^[a-z0-9]{1,8}$/), fc.stringMatching(/^[a-zA-Z0-9;=&\\"]{0,9}$/))
    fc.assert(
      fc.property(valid, ([label, target]) => {
        const parsed = parseUrl(`https://${label}.example.com/${target}`)
        expect(parsed).toMatchObject({ host: `${label}.example.com`, target: `/${target}` })
        holds(parsed)
      }),
    )
  })
})
