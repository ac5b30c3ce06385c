import { describe, expect, it } from 'vitest'
import { browserName } from '../../src/http/browser-name.ts'

const webkit = 'AppleWebKit/537.36 (KHTML, like Gecko)'

describe(browserName, () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/140.0 Safari/537.36`, 'Chrome on Windows'],
    [`Mozilla/5.0 (X11; Linux x86_64) ${webkit} HeadlessChrome/140.0 Safari/537.36`, 'Chrome on Linux'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/140.0 Safari/537.36 Edg/140.0`, 'Edge on Windows'],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19.0 Safari/604.1',
      'Safari on iPhone',
    ],
    [`Mozilla/5.0 (Linux; Android 16; Pixel 9) ${webkit} Chrome/140.0 Mobile Safari/537.36`, 'Chrome on Android'],
    ['curl/8.0', 'curl'],
    [undefined, 'Unknown browser'],
  ])('reads %j as %s', (userAgent, name) => expect(browserName(userAgent)).toBe(name))

  it('row 131: writes nothing that a visitor chose', () => {
    expect(browserName('x&y=z\nSite: other <script>')).toBe('Unknown browser')
  })
})
