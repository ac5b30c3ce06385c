import { describe, expect, it } from 'vitest'
import type { Policy } from '../../src/config/schema.ts'
import { access, accessOf, matches, object } from './rules.ts'

describe('networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.255.0.1', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.10', false],
    ['0.0.0.0/0', '192.0.2.1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '192.0.2.1', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:DB8::1', '2001:db8::1', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '11.1.2.3', false],
    ['::ffff:10.1.2.3', '10.1.2.3', true],
  ])('%s holds %s: %s', (network, ip, expected) => {
    expect(matches({ networks: [network] }, null, { ip })).toBe(expected)
  })

  it('are named in definitions.network, or in its older place', () => {
    const rules = accessOf(
      {
        networks: [{ name: 'vpn', networks: ['10.9.0.0/16'] }],
        rules: [{ domain: 'app.example.com', policy: 'one_factor', networks: ['internal', 'vpn', '192.0.2.7'] }],
      },
      { network: { internal: ['10.0.0.0/16', 'fd00::/8'] } },
    )
    const at = (ip: string) => rules.decide(null, object({ ip })).policy
    expect(['10.0.1.1', 'fd00::1', '10.9.0.1', '192.0.2.7'].map(at)).toEqual(Array(4).fill('one_factor'))
    expect(['10.1.0.1', '192.0.2.8', 'fe80::1'].map(at)).toEqual(Array(3).fill('deny'))
  })

  it('a name that is not defined does not pass unnoticed', () => {
    expect(() => access([{ domain: ['a.example.com'], networks: ['internal'], policy: 'bypass' }])).toThrow()
  })

  it('an unknown address is judged both ways, and the stricter answer is given', () => {
    const of = (list: [Policy, string[] | undefined][], fallback: Policy, ip: string | undefined) =>
      access(
        list.map(([policy, networks]) => ({ domain: ['app.example.com'], policy, ...(networks && { networks }) })),
        fallback,
      ).decide(null, object({ ip }))
    const inside = ['10.0.0.0/8']
    for (const ip of [undefined, 'nonsense', '10.1']) {
      expect(of([['bypass', inside]], 'two_factor', ip)).toMatchObject({ policy: 'two_factor', rule: null })
      expect(
        of(
          [
            ['deny', inside],
            ['bypass', undefined],
          ],
          'one_factor',
          ip,
        ),
      ).toMatchObject({ policy: 'deny', rule: 1 })
      expect(
        of(
          [
            ['bypass', inside],
            ['one_factor', undefined],
            ['deny', undefined],
          ],
          'deny',
          ip,
        ),
      ).toMatchObject({ policy: 'one_factor', rule: 2 })
      expect(
        of(
          [
            ['bypass', inside],
            ['bypass', undefined],
          ],
          'deny',
          ip,
        ),
      ).toMatchObject({ policy: 'bypass' })
    }
  })
})
