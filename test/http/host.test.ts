import { describe, expect, it } from 'vitest'
import { hostName } from '../../src/http/host.ts'

describe(hostName, () => {
  it.each([
    [['auth.example.com'], 'auth.example.com'],
    [['AUTH.Example.com:8443'], 'auth.example.com'],
    [['auth.example.com.'], 'auth.example.com'],
    [['auth.example.com.:443'], 'auth.example.com'],
    [[], undefined],
    [['auth.example.com', 'evil.example'], undefined],
  ])('reads %j as %s', (hosts, name) => {
    const request = { rawHeaders: hosts.flatMap(host => ['Host', host]) }
    expect(hostName(request)).toBe(name)
  })
})
