import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { post, signedIn, signIn } from './client.ts'

describe('row 102: while the counters cannot be written', () => {
  it('no password is looked at, and no passcode goes to Duo: 503; nothing of it is counted once they can', async () => {
    const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
    onTestFinished(() => simulator.close())
    const postern = await openPostern({ duo: simulator, more: 'regulation: { max_retries: 3 }\n' })
    const cookie = await signedIn(postern, 'bob')
    const passcode = simulator.passcode('DPBOB000000000000001')
    const file = new DatabaseSync(join(postern.setup.folder, 'postern.sqlite3'))
    onTestFinished(() => file.close())
    file.exec('BEGIN IMMEDIATE')
    const tries = await Promise.all([
      signIn(postern, 'alice', password),
      signIn(postern, 'alice', 'wrong'),
      signIn(postern, 'alice', 'wrong'),
      post(postern, '/api/secondfactor/duo', { passcode }, { cookie }),
    ])
    file.exec('ROLLBACK')
    for (const { status, headers, json } of tries) {
      expect(status).toBe(503)
      expect(headers['retry-after']).toMatch(/^\d+$/)
      expect(headers['set-cookie']).toBeUndefined()
      expect(json).toEqual({ status: 'KO', message: expect.any(String) })
    }
    // One for all who tried, under the reference of what does not answer.
    const [told, ...more] = postern.events('login.unavailable')
    expect(more).toEqual([])
    expect(told).toMatchObject({ reason: 'records-down', ref: expect.any(String) })
    expect(postern.text()).toMatch(new RegExp(`"ref":"${told?.ref}".*The storage file does not answer`))
    expect((await post(postern, '/api/secondfactor/duo', { passcode }, { cookie })).status).toBe(200)
    for (let i = 0; i < 2; i++) expect((await signIn(postern, 'alice', 'wrong')).status).toBe(401)
    await signedIn(postern) // two are counted, not four
  })
})
