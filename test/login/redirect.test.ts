import { describe, expect, it } from 'vitest'
import type { CookieDomain } from '../../src/config/schema.ts'
import { judgeRedirect } from '../../src/login/redirect.ts'

const domain = (name: string): CookieDomain => ({
  domain: name,
  authelia_url: `https://auth.${name}`,
  default_redirection_url: undefined,
  name: 'authelia_session',
  same_site: 'lax',
  inactivity: 300_000,
  expiration: 3_600_000,
  remember_me: null,
})
const domains = [domain('example.com'), domain('example.org')]
const kind = (rd: string | undefined) => judgeRedirect(rd, domains).kind

// Each list holds spellings that must all be refused; the plain one must pass, so that no test is green for the wrong reason.
const plain = 'https://one.example.com/a?b=c'

describe(judgeRedirect, () => {
  it('lets an absolute https URL under a cookie domain pass, as it was judged', () => {
    const redirect = judgeRedirect(plain, domains)
    expect(redirect).toMatchObject({ kind: 'safe', url: { href: plain, host: 'one.example.com' } })
    expect(kind('https://example.org')).toBe('safe')
    expect(kind('https://deep.down.example.com:8443/')).toBe('safe')
  })

  const refused: Record<string, string[]> = {
    'row 78: relative and backslashed': [
      '//evil.com',
      '/\\evil.com',
      '\\\\evil.com',
      '/%09/evil.com',
      '/\t/evil.com',
      '/plain',
      'https:\\\\one.example.com',
    ],
    'row 79: other schemes': [
      'javascript:alert(1)',
      'data:text/html,x',
      'blob:https://one.example.com/x',
      'intent:',
      'java\nscript:alert(1)',
      'wss://one.example.com/',
      'ftp://one.example.com/',
    ],
    'row 80: user information and fragments': [
      'https://one.example.com@evil.com/',
      'https://evil.com\\@one.example.com',
      'https://evil.com#.example.com',
      'https://user:pass@one.example.com/',
      'https://one.example.com/#x',
    ],
    'row 81: spellings that two parsers read differently': [
      'https://one.example.com%2eevil.com',
      'https://one.example.com\t.evil.com',
      'https:one.example.com',
      'https:///evil.com',
      ' https://one.example.com/',
      'https://one.example.com /',
      'https://one。example。com/',
    ],
    'row 82: line breaks and separators': [
      'https://one.example.com/\r\nX:1',
      'https://one.example.com/\u2028',
      'https://one.example.com/\u0000',
      'https://one.example.com/%00',
    ],
    'row 83: hosts that only look like ours': [
      'https://evilexample.com',
      'https://example.com.evil.com',
      'https://one.ex\u0430mple.com',
      'https://xn--exmple-4nf.com',
      'https://example.co',
    ],
    'row 84: http': ['http://one.example.com', 'http://one.example.com:443/', 'HTTP://one.example.com'],
  }
  for (const [title, list] of Object.entries(refused)) {
    it.each(list)(`${title}: %j is refused`, rd => {
      expect(kind(rd)).toBe('unsafe')
      expect(kind(plain)).toBe('safe')
    })
  }

  it('row 82: an escaped line break stays escaped: what is sent is what was judged', () => {
    expect(judgeRedirect('https://one.example.com/%0d%0aX:1', domains)).toMatchObject({
      url: { href: 'https://one.example.com/%0d%0aX:1' },
    })
  })

  it('row 84: a final dot, a port and upper case are read as the gate reads them', () => {
    expect(judgeRedirect('HTTPS://ONE.Example.com.:444/', domains)).toMatchObject({
      kind: 'safe',
      url: { href: 'https://one.example.com:444/' },
    })
  })

  it('row 85: the portal, its logout, and what is too long are as good as nothing: no loop, no forced logout', () => {
    expect(kind('https://auth.example.com/')).toBe('none')
    expect(kind('https://auth.example.com/logout')).toBe('none')
    expect(kind('https://AUTH.example.org.:443/logout')).toBe('none')
    expect(kind(`https://one.example.com/${'x'.repeat(8192)}`)).toBe('none')
    let nested = plain
    for (let i = 0; i < 5; i++) nested = `https://auth.example.com/?rd=${encodeURIComponent(nested)}`
    expect(kind(nested)).toBe('none')
    expect(kind(undefined)).toBe('none')
  })
})
