import { createServer, request } from 'node:http'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Client, clientOf, networkOf, plainAddress, trustedProxies } from '../../src/http/client-address.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'

/** As Node would give it: the socket's address, and the raw header lines. */
function incoming(remoteAddress: string | undefined, ...lines: string[]) {
  const rawHeaders = lines.flatMap(line => ['X-Forwarded-For', line])
  return { socket: { remoteAddress }, rawHeaders }
}

const proxies = trustedProxies(['127.0.0.0/8', '::1/128', '10.1.0.0/16', '192.0.2.7', '2001:db8::/32'])
const address = (remote: string | undefined, ...lines: string[]) =>
  clientOf(incoming(remote, ...lines), proxies).address

describe(trustedProxies, () => {
  it('knows a network, an address, and an IPv4 that is mapped into IPv6', () => {
    for (const peer of [
      '127.0.0.1',
      '10.1.255.255',
      '192.0.2.7',
      '::1',
      '2001:db8::5',
      '::ffff:127.0.0.1',
      '::ffff:10.1.2.3',
    ])
      expect(proxies.has(peer), peer).toBe(true)
    for (const peer of [
      '10.2.0.0',
      '192.0.2.8',
      '203.0.113.9',
      '::2',
      '::ffff:10.2.0.1',
      '2001:db9::',
      '',
      'unix',
      'localhost',
      'fe80::1%eth0',
    ])
      expect(proxies.has(peer), peer).toBe(false)
  })

  it('trusts nobody where nothing is named', () => {
    const nobody = trustedProxies([])
    for (const peer of ['127.0.0.1', '::1', undefined, '']) expect(nobody.has(peer)).toBe(false)
  })

  it('row 7: trusts the peer of a unix socket only where `unix` is named', () => {
    expect(proxies.has(undefined)).toBe(false)
    expect(trustedProxies(['unix']).has(undefined)).toBe(true)
    for (const peer of ['127.0.0.1', '', 'unix']) expect(trustedProxies(['unix']).has(peer)).toBe(false)
  })

  it('remembers a bounded number of peers, and rightly', () => {
    for (let i = 0; i < 3000; i++) expect(proxies.has(`198.51.${i >> 8}.${i & 255}`)).toBe(false)
    expect(proxies.has('10.1.0.1')).toBe(true)
  })
})

describe(clientOf, () => {
  it('is the peer where the peer is not trusted, whatever it says', () => {
    expect(clientOf(incoming('203.0.113.9', '10.0.0.9'), proxies)).toEqual({
      address: '203.0.113.9',
      peer: '203.0.113.9',
      peerIsTrusted: false,
    } satisfies Client)
  })

  it('is the trusted peer itself where it forwards for nobody', () => {
    expect(address('127.0.0.1')).toBe('127.0.0.1')
  })

  it('row 3: is the right-most address that is no trusted proxy', () => {
    expect(address('127.0.0.1', '10.0.0.9, 203.0.113.9')).toBe('203.0.113.9')
    expect(address('127.0.0.1', '10.0.0.9, 203.0.113.9, 10.1.0.1, 2001:db8::1')).toBe('203.0.113.9')
    expect(address('127.0.0.1', '10.1.0.1,127.0.0.1')).toBe('10.1.0.1')
  })

  it('row 4: joins lines in the order in which they came', () => {
    expect(address('127.0.0.1', '10.0.0.9', '203.0.113.9')).toBe('203.0.113.9')
    expect(address('127.0.0.1', '203.0.113.9', '10.1.0.1')).toBe('203.0.113.9')
  })

  it.each([
    'a',
    'unknown',
    '_x',
    '10.0.0.9:99',
    '',
    ' ',
    ',',
    '[::1]',
    '"10.0.0.9"',
    'for=10.0.0.9',
    '__proto__',
    '\u00a010.0.0.9x',
  ])('row 5: stops at %j, which is no address', entry => {
    expect(address('127.0.0.1', `10.0.0.9, ${entry}`)).toBeUndefined()
    expect(address('127.0.0.1', `10.0.0.9, ${entry}, 10.1.0.1`)).toBeUndefined()
    expect(address('127.0.0.1', `${entry}, 203.0.113.9`)).toBe('203.0.113.9')
  })

  it('row 5: walks through thousands of entries in no time', () => {
    const start = performance.now()
    expect(address('127.0.0.1', Array(2000).fill('10.1.0.1').join(','))).toBe('10.1.0.1')
    expect(address('127.0.0.1', `203.0.113.9${','.repeat(100_000)}`)).toBeUndefined()
    expect(performance.now() - start).toBeLessThan(500)
  })

  it('row 6: a mapped IPv4 is its IPv4; octal, hexadecimal, short and zoned forms are none', () => {
    expect(address('::ffff:127.0.0.1', '::ffff:203.0.113.9')).toBe('203.0.113.9')
    expect(plainAddress('::FFFF:cb00:7109')).toBe('203.0.113.9')
    expect(plainAddress('2001:DB8:0:0::1')).toBe('2001:db8::1')
    expect(plainAddress('::10.0.0.9')).toBe('::a00:9')
    for (const entry of [
      '012.0.0.9',
      '0x0a000009',
      '10.9',
      '10.0.9',
      '167772169',
      'fe80::1%eth0',
      '::ffff:012.0.0.9',
      '10.0.0.256',
      '1.2.3.4.5',
      '1.2.3.4/8',
    ])
      expect(address('127.0.0.1', entry), entry).toBeUndefined()
  })

  it('never throws, and says only what some address says', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 5 }),
        fc.option(fc.ipV4(), { nil: undefined }),
        (lines, peer) => {
          const client = clientOf(incoming(peer, ...lines), proxies)
          if (client.address !== undefined) expect(plainAddress(client.address)).toBe(client.address)
        },
      ),
    )
    fc.assert(
      fc.property(fc.ipV6(), text => {
        const plain = plainAddress(text)
        expect(plain).toBeDefined()
        if (plain !== undefined) expect(plainAddress(plain)).toBe(plain)
      }),
    )
  })
})

describe('the peer of a unix socket', () => {
  let path: string
  const seen: Client[] = []
  const endsWith = endsWithSuite()
  beforeAll(async () => {
    path = join(temporaryFolder(endsWith), 'postern.sock')
    const server = createServer((request, response) => {
      seen.push(clientOf(request, proxies), clientOf(request, trustedProxies(['unix'])))
      response.end()
    })
    await new Promise<void>(resolve => server.listen(path, resolve))
    endsWith(() => new Promise<void>(resolve => server.close(() => resolve())))
  })

  it('row 7: has no address, and none is made up', async () => {
    await new Promise<void>(resolve =>
      request({ socketPath: path, headers: { 'x-forwarded-for': '203.0.113.9' } }, answer =>
        answer.resume().on('end', resolve),
      ).end(),
    )
    expect(seen).toEqual([
      { address: undefined, peer: undefined, peerIsTrusted: false },
      { address: '203.0.113.9', peer: undefined, peerIsTrusted: true },
    ])
  })
})

describe(networkOf, () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['::1', '::/64'],
    ['nonsense', null],
  ])('counts %s by %s', (address, expected) => {
    expect(networkOf(address)).toBe(expected)
  })
})
