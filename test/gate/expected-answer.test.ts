import { describe, expect, it } from 'vitest'
import { compileAccess, type Proof } from '../../src/access/access.ts'
import { authzEndpoints } from '../../src/config/authz-endpoints.ts'
import { type Endpoint, endpointsOf } from '../../src/gate/endpoint.ts'
import { expectedAnswer } from '../../src/gate/expected-answer.ts'
import { parseUrl } from '../../src/http/original-url.ts'
import { endsWithSuite } from '../support/process.ts'
import {
  asEnvoy,
  asLegacy,
  asNginx,
  asTraefik,
  config,
  cookieOf,
  type House,
  house,
  type Judged,
  john,
} from './house.ts'

const rules = {
  default_policy: 'deny' as const,
  rules: [
    { domain: ['public.example.com'], policy: 'bypass' as const },
    { domain: ['one.example.com', 'auth.example.com'], policy: 'one_factor' as const },
    { domain: ['two.example.com'], policy: 'two_factor' as const },
    { domain: ['others.example.com'], policy: 'deny' as const, subject: [['user:ann']] },
    { domain: ['paths.example.com'], policy: 'bypass' as const, resources: ['^/a'] },
  ],
}
const access = compileAccess({ access_control: rules, definitions: { network: {} } })

const configured = {
  programs: { implementation: 'ForwardAuth' as const, authn_strategies: [{ name: 'HeaderAuthorization' as const }] },
  challenging: {
    implementation: 'AuthRequest' as const,
    authn_strategies: [{ name: 'CookieSession' as const }, { name: 'HeaderProxyAuthorization' as const }],
  },
  tokens: {
    implementation: 'ForwardAuth' as const,
    authn_strategies: [{ name: 'HeaderAuthorization' as const, schemes: ['bearer'] }],
  },
}
const endpoints = endpointsOf(authzEndpoints.parse(configured))

const urls = [
  'https://public.example.com/',
  'https://one.example.com/a?b=c',
  'https://two.example.com/',
  'https://others.example.com/',
  'https://closed.example.com/',
  'https://auth.example.com/',
  'https://paths.example.com/%c0%ae%c0%ae/x',
]
const proofs: readonly (readonly [string, Proof | null])[] = [
  ['nobody', null],
  ['the password', { level: 1, passwordAt: 0, secondFactor: null }],
  ['both', { level: 2, passwordAt: 0, secondFactor: null }],
]

const asking = { AuthRequest: asNginx, ForwardAuth: asTraefik, ExtAuthz: asEnvoy, Legacy: asLegacy } as const

/** The same question, put to the handler: with the session's cookie, and the password where only headers are looked at. */
function put(to: House, endpoint: Endpoint, judged: Judged, proof: Proof | null) {
  const cookie = proof === null ? {} : { cookie: cookieOf('john', proof.level === 2 ? 2 : 1) }
  const basic = `Basic ${Buffer.from('john:secret').toString('base64')}`
  const more = proof === null || endpoint.strategies.includes('cookie') ? [] : [['Authorization', basic] as const]
  return asking[endpoint.dialect.implementation](to, { ...judged, ...cookie, more, at: endpoint.path, query: '' })
}

describe(expectedAnswer, async () => {
  const at = await house(endsWithSuite(), { endpoints: configured, access })
  const [domain] = config.session.cookies

  describe.each(endpoints.map(endpoint => [endpoint.path, endpoint] as const))('%s', (_, endpoint) => {
    it.each(
      urls.flatMap(url =>
        proofs.flatMap(([proved, proof]) => ['GET', 'POST'].map(method => [method, url, proved, proof] as const)),
      ),
    )('%s %s with %s proved is answered as expected', async (method, text, _, proof) => {
      const url = parseUrl(text)
      if (typeof url === 'string' || domain === undefined) throw new Error(text)
      const who = proof === null ? null : { subject: john, proof }
      const judged = { access, url, method, ip: '203.0.113.9', domain, who }
      for (const [wantsPage, accept] of [
        [true, 'text/html'],
        [false, 'application/json'],
      ] as const) {
        const expected = expectedAnswer(endpoint, judged, wantsPage)
        const answer = await put(at, endpoint, { url: text, method, accept }, proof)
        expect({ status: answer.status, location: answer.headers.location ?? null }).toEqual(expected)
      }
    })
  })
})
