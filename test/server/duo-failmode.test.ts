import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'

const host = { host: 'auth.postern.localhost' }
const rules = [
  { domain: 'two.postern.localhost', policy: 'two_factor' },
  { domain: 'asked.postern.localhost', policy: 'two_factor', factors: ['duo'] },
]

/** Alice, who gave the password and asks for the second factor on the way to a site. */
async function alice({ failmode, wrongKey = false }: { failmode: 'safe' | 'secure'; wrongKey?: boolean }) {
  const simulator = await startSimulator({
    ...duoKeys,
    ...(wrongKey && { secretKey: 'x'.repeat(40) }),
    users: demoUsers,
  })
  onTestFinished(() => simulator.close())
  const postern = await openPostern({ duo: simulator, duoKeys: `failmode: ${failmode}`, rules })
  const post = async (url: string, cookie: string, payload: object) =>
    postern.app.inject({ method: 'POST', url, headers: { ...host, cookie }, payload })
  const signedIn = await post('/api/firstfactor', '', { username: 'alice', password })
  const jar = ({ cookies }: typeof signedIn) => cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  let cookie = jar(signedIn)
  return {
    simulator,
    events: () => postern.events().map(({ event }) => String(event)),
    notices: async () => (await postern.app.inject({ url: '/api/health', headers: host })).json().notices,
    async secondFactor(site: string) {
      const answer = await post('/api/secondfactor/duo', cookie, { targetURL: `http://${site}.postern.localhost/` })
      cookie = jar(answer) || cookie
      const state = await postern.app.inject({ url: '/api/state', headers: { ...host, cookie } })
      return { status: answer.statusCode, level: state.json().data.authentication_level }
    },
  }
}

describe('while Duo cannot be asked', () => {
  it('row 110: nobody gets past two_factor, unless the failmode is safe: then audited, and shown on the health page', async () => {
    const secure = await alice({ failmode: 'secure' })
    await secure.simulator.close()
    expect(await secure.secondFactor('two')).toMatchObject({ status: 401, level: 1 })
    expect(await secure.notices()).toBeUndefined()

    const safe = await alice({ failmode: 'safe' })
    expect(await safe.notices()).toBeUndefined()
    await safe.simulator.close()
    expect(await safe.secondFactor('two')).toMatchObject({ status: 200, level: 2 })
    expect(safe.events()).toContain('duo.failmode')
    expect(await safe.notices()).toEqual(['duo-failmode'])
  })

  it('row 110: a rule that wants a factor of Duo’s stays closed', async () => {
    const safe = await alice({ failmode: 'safe' })
    await safe.simulator.close()
    expect(await safe.secondFactor('asked')).toMatchObject({ status: 401, level: 1 })
    expect(safe.events()).not.toContain('duo.failmode')
  })

  it('row 109: wrong keys never open anything', async () => {
    const safe = await alice({ failmode: 'safe', wrongKey: true })
    expect(await safe.secondFactor('two')).toMatchObject({ status: 401, level: 1 })
    expect(safe.events()).not.toContain('duo.failmode')
    expect(await safe.notices()).toBeUndefined()
  })
})
