import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { logFileFindings } from '../../src/commands/doctor/log-file.ts'
import { proxiesFindings } from '../../src/commands/doctor/proxies.ts'
import { bentNameFindings, examine } from '../../src/commands/doctor.ts'
import { configSchema } from '../../src/config/schema.ts'
import { type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts'
import { connectProxy } from '../duo/connect-proxy.ts'
import { type Asked, certificate, fail, ok, scriptedDuo } from '../duo/scripted-duo.ts'
import { duoKeys, type Setup, setUp, startPostern } from '../support/postern.ts'
import { freePort, node, projectRoot, start, temporaryFolder } from '../support/process.ts'

const log = configSchema.shape.log.parse({})

type Account = SimulatorOptions['users']
type Capabilities = NonNullable<NonNullable<Account[number]['devices']>[number]['capabilities']>

const phone = (id: string, name = 'Phone', capabilities: Capabilities = ['push']) => ({
  id,
  name,
  number: '+1 555 010 0123',
  capabilities,
})
const account: Account = [
  { username: 'alice', devices: [phone('DPALICE1', 'Alice’s phone', ['push', 'phone', 'sms', 'mobile_otp'])] },
  { username: 'bob', devices: [phone('DPBOB1', 'Work phone'), { id: 'DHBOB2', name: '17', type: 'token' }] },
  { username: 'carol', status: 'disabled', devices: [phone('DPCAROL1')] },
  { username: 'dave', status: 'locked out', devices: [phone('DPDAVE1')] },
  { username: 'erin', status: 'bypass', devices: [phone('DPERIN1')] },
  { username: 'f.meier', devices: [phone('DPFRANK1')] },
  { username: 'gina', devices: [phone('DPGINA1', 'Landline', [])] },
]

async function run(setup: Setup, ...args: string[]) {
  const running = start(node, [join(projectRoot, 'src/main.ts'), 'doctor', '--config', setup.configFile, ...args])
  const code = await running.exit
  return { code, output: running.output() }
}

async function examined(setup: Setup, env: NodeJS.ProcessEnv = {}) {
  const report = await examine(setup.configFile, env)
  return {
    ...report,
    ok: report.findings.every(({ severity }) => severity !== 'error'),
    of: (area: string) => report.findings.filter(finding => finding.area === area),
    reasons: report.findings.flatMap(({ reason }) => reason ?? []),
    people: new Map((report.people ?? []).map(person => [person.username, person])),
  }
}

async function withSimulator(wishes: Parameters<typeof setUp>[0] = {}, users = account) {
  const simulator = await startSimulator({ ...duoKeys, users })
  onTestFinished(() => simulator.close())
  return { simulator, setup: await setUp({ duo: simulator, ...wishes }) }
}

/** A Duo that answers as it is told, in the configuration in place of the simulator. */
async function withScripted(answer: (asked: Asked) => string) {
  const duo = await scriptedDuo((asked, socket) => void socket.write(answer(asked)))
  return { duo, setup: await setUp({ duo: { apiPort: duo.port, ca: duo.certificate.ca } }) }
}
const ready = { result: 'auth', devices: [{ device: 'DP1', type: 'phone', capabilities: ['push'] }] }
const now = () => Math.round(Date.now() / 1000)

describe('postern doctor', () => {
  it('asks Duo about each user, and says who could confirm a sign-in and how, or what is in the way and what to do', async () => {
    const users = ['alice', 'bob', 'carol', 'dave', 'erin', 'gina', 'nobody']
    const { simulator, setup } = await withSimulator({ users })
    const found = await examined(setup)
    expect(found.ok).toBe(false)
    expect(Object.fromEntries([...found.people].map(([name, { state, reason }]) => [name, [state, reason]]))).toEqual({
      alice: ['ready', undefined],
      bob: ['ready', undefined],
      carol: ['not ready', 'duo-disabled'],
      dave: ['not ready', 'duo-locked'],
      erin: ['passes', 'duo-allow'],
      gina: ['not ready', 'duo-not-activated'],
      nobody: ['not ready', 'duo-enroll'],
    })
    expect(found.people.get('alice')?.says).toBe('push, phone call, SMS on Alice’s phone (XXX-XXX-0123); passcode')
    expect(found.people.get('bob')?.says).toBe('push on Work phone (XXX-XXX-0123); passcode')
    for (const { state, mend } of found.people.values()) expect(mend !== undefined).toBe(state !== 'ready')
    expect(found.of('people')).toMatchObject([{ severity: 'error', what: '2 ready, 1 passes, 4 not ready' }])
    expect(simulator.pushes()).toEqual([])
  })

  it('ends with 0 when all is well, and makes no file', async () => {
    const { setup } = await withSimulator({ users: ['alice', 'bob'] })
    const before = readdirSync(setup.folder)
    const { code, output } = await run(setup, '--json')
    const report = JSON.parse(output)
    expect(report.findings.filter(({ severity }: { severity: string }) => severity === 'error')).toEqual([])
    expect(report).toMatchObject({ ok: true, people: [{ username: 'alice' }, { username: 'bob' }] })
    expect(code).toBe(0)
    expect(readdirSync(setup.folder)).toEqual(before)
  })

  it('shows people a table, and what to do below it, each thing once', async () => {
    const { setup } = await withSimulator({ users: ['alice', 'dave', 'nobody', 'nobody-else'] })
    const { code, output: text } = await run(setup)
    expect(code).toBe(1)
    expect(text).toMatch(/^alice +ready +push, phone call, SMS on Alice’s phone/m)
    expect(text).toMatch(/^dave +not ready +Duo has locked this user.*\(duo-locked\)$/m)
    expect(text.match(/^- duo-enroll: In Duo, add the user.*$/gm)).toHaveLength(1)
    expect(text.match(/^- duo-locked: .*Active\.$/gm)).toHaveLength(1)
    expect(text).toMatch(/^ok +Duo: .* takes these keys/m)
  })

  it.each(['frank@example.com', 'f.meier'])(
    'finds that Duo knows somebody as %s, and says that an alias is needed',
    async inDuo => {
      const { setup } = await withScripted(({ path, parameters }) => {
        if (!path.endsWith('/preauth')) return ok({ time: now() })
        return parameters.username === inDuo ? ok(ready) : fail(40002, 'Invalid request parameters', 'username')
      })
      const entry = "{ displayname: Frank, password: '$6$x$y', email: frank@example.com }"
      const name = inDuo === 'f.meier' ? 'f.meier@corp.example' : 'frank'
      writeFileSync(join(setup.folder, 'users.yml'), `users:\n  ${name}: ${entry}\n`)
      const found = (await examined(setup)).people.get(name)
      expect(found).toMatchObject({ state: 'not ready', reason: 'duo-no-user', duoName: name })
      expect(found?.says).toContain(`Duo knows this person as ${inDuo}`)
      expect(found?.mend).toContain(`add ${name} as an alias of ${inDuo}`)
    },
  )

  it('does not ask about somebody who is disabled in the users file', async () => {
    const { setup } = await withSimulator({ users: ['alice'] })
    const file = join(setup.folder, 'users.yml')
    writeFileSync(file, "users:\n  zed:\n    displayname: Zed\n    disabled: true\n    password: '$6$x$y'\n")
    const found = await examined(setup)
    expect(found.people.get('zed')).toMatchObject({ state: 'disabled here', duoName: null })
    expect(found.of('users file').some(({ what }) => what.includes('0 of 1'))).toBe(true)
  })

  it('names every problem of a configuration that cannot be used, and asks nobody anything', async () => {
    const { simulator, setup } = await withSimulator({ more: 'sesion: {}\n' })
    const found = await examined(setup)
    expect(found.ok).toBe(false)
    expect(found.of('configuration')[0]?.what).toMatch(/sesion/)
    expect(found.of('Duo')).toEqual([])
    expect(simulator.pushes()).toEqual([])
  })

  it('names what is wrong with the users file, and still asks Duo', async () => {
    const { setup } = await withSimulator()
    writeFileSync(join(setup.folder, 'users.yml'), 'users:\n  alice:\n    displayname: x\n')
    const found = await examined(setup)
    expect(found.of('users file')).toMatchObject([{ severity: 'error' }])
    expect(found.of('Duo').some(({ what }) => what.includes('takes these keys'))).toBe(true)
    expect(found.people.size).toBe(0)
  })

  it('finds a storage file that is none, and leaves it as it is', async () => {
    const { setup } = await withSimulator({ users: ['alice'] })
    mkdirSync(join(setup.folder, 'postern.sqlite3'))
    const found = await examined(setup)
    expect(found.of('storage')).toMatchObject([{ severity: 'error', reason: 'storage-denied' }])
    expect(existsSync(join(setup.folder, 'postern.sqlite3-wal'))).toBe(false)
  })

  it('says that no second factor is configured though a rule wants one', async () => {
    expect((await examined(await setUp())).reasons).toContain('no-second-factor')
  })
})

describe('what Duo has against this server', () => {
  it.each([
    [40103, 'Invalid signature in request credentials', undefined, 'duo-signature'],
    [40102, 'Invalid integration key in request credentials', undefined, 'duo-ikey'],
    [40301, 'Access forbidden', 'Wrong integration type for this API.', 'duo-application'],
    [40301, 'Client duo_api_nodejs version 1.5.0 is deprecated', undefined, 'duo-client-too-old'],
    [40101, 'Missing request credentials', undefined, 'duo-refused'],
  ])('row 109: %i %s (%s) is named with cause and mend', async (code, message, detail, reason) => {
    const { duo, setup } = await withScripted(({ path }) =>
      path.endsWith('/ping') ? ok({ time: now() }) : fail(code, message, detail),
    )
    const found = await examined(setup)
    expect(found.ok).toBe(false)
    expect(found.findings.find(finding => finding.reason === reason)).toMatchObject({ area: 'Duo', severity: 'error' })
    expect(found.findings.find(finding => finding.reason === reason)?.mend).toMatch(/\w+\.$/)
    expect(duo.asked.some(({ path }) => path.endsWith('/preauth'))).toBe(false)
  })

  it('a clock that is wrong is named with the seconds, and does not hide who is ready', async () => {
    const { setup } = await withScripted(({ path }) => ok(path.endsWith('/preauth') ? ready : { time: now() + 1200 }))
    const found = await examined(setup)
    const clock = found.findings.find(({ reason }) => reason === 'clock-off')
    expect(clock).toMatchObject({ severity: 'warning' })
    expect(clock?.what).toMatch(/1(199|200|201) s behind Duo’s/)
    expect(found.people.get('alice')?.state).toBe('ready')
  })

  it('row 111: a certificate of another authority is named', async () => {
    const { setup } = await withScripted(() => ok({ time: now() }))
    const other = await scriptedDuo(() => {})
    writeFileSync(join(setup.folder, 'duo-ca.pem'), (await certificate()).ca)
    const found = await examined(setup)
    expect(found.reasons).toContain('duo-tls')
    expect(other.asked).toEqual([])
  })

  it('nobody listens there: named, and people are not asked about', async () => {
    const setup = await setUp({ duo: { apiPort: await freePort(), ca: (await certificate()).ca } })
    const { code, output } = await run(setup, '--json')
    expect(code).toBe(1)
    expect(output).toContain('"duo-unreachable"')
    expect(output).not.toContain('"people"')
  })

  it('two users whom Duo would take for one are told, and Duo is not asked about them', async () => {
    const { duo, setup } = await withScripted(({ path }) => ok(path.endsWith('/preauth') ? ready : { time: now() }))
    writeFileSync(
      join(setup.folder, 'users.yml'),
      "users:\n  sam@corp.example: { displayname: Sam, password: '$6$x$y' }\n  sam@partner.example: { displayname: Sam, password: '$6$x$y' }\n",
    )
    const found = await examined(setup)
    expect([...found.people.values()].map(({ reason }) => reason)).toEqual(['duo-name-shared', 'duo-name-shared'])
    expect(duo.asked.some(({ path }) => path.endsWith('/preauth'))).toBe(false)
  })

  it('says which proxy is used, without its password, and asks through it', async () => {
    const { setup } = await withScripted(({ path }) => ok(path.endsWith('/preauth') ? ready : { time: now() }))
    const proxy = await connectProxy()
    const env = { POSTERN_DUO_API_PROXY: `http://postern:hunter2@127.0.0.1:${proxy.port}` }
    const found = await examined(setup, env)
    expect(found.of('Duo')[0]?.what).toContain(`through the proxy http://127.0.0.1:${proxy.port} of duo_api.proxy`)
    expect(found.people.get('alice')?.state).toBe('ready')
    expect(proxy.authorizations[0]).toBe(`Basic ${Buffer.from('postern:hunter2').toString('base64')}`)
    expect(JSON.stringify(found)).not.toContain('hunter2')
    const refusing = await connectProxy((_, socket) => {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return true
    })
    const refused = await examined(setup, {
      POSTERN_DUO_API_PROXY: `http://postern:hunter2@127.0.0.1:${refusing.port}`,
    })
    expect(refused.reasons).toContain('duo-proxy')
    expect(JSON.stringify(refused)).not.toContain('hunter2')
  })

  it('row 111: NODE_TLS_REJECT_UNAUTHORIZED=0 is named', async () => {
    const { setup } = await withScripted(({ path }) => ok(path.endsWith('/preauth') ? ready : { time: now() }))
    const found = await examined(setup, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    expect(found.of('Duo')[0]).toMatchObject({ severity: 'warning' })
    expect(found.of('Duo')[0]?.what).toContain('NODE_TLS_REJECT_UNAUTHORIZED=0 is set')
  })

  it('shows no key, in no form of its output', async () => {
    const { setup } = await withScripted(({ path }) =>
      path.endsWith('/ping') ? ok({ time: now() }) : fail(40103, 'Invalid signature'),
    )
    const text = JSON.stringify(await examine(setup.configFile, {}))
    for (const secret of [duoKeys.secretKey, duoKeys.integrationKey, 'a-secret-of-this-test', 'another-secret'])
      expect(text).not.toContain(secret)
  })
})

describe(bentNameFindings, () => {
  it.each([
    ['api-1234.duosecurity.com', ['127.0.0.1'], ['duo-local']],
    ['api-1234.duosecurity.com', ['54.241.191.128', '::1'], ['duo-local']],
    ['api-1234.duofederal.com', ['::ffff:127.0.0.1'], ['duo-local']],
    ['api-1234.duosecurity.com', ['0.0.0.0'], ['duo-local']],
    ['api-1234.duosecurity.com', ['54.241.191.128'], []],
    ['api-1234.duosecurity.com', [], []],
    ['localhost', ['127.0.0.1'], []],
  ])('row 110: %s that leads to %j: %j', (name, addresses, expected) => {
    expect(bentNameFindings(name, addresses).map(({ reason }) => reason)).toEqual(expected)
  })
})

describe(proxiesFindings, () => {
  const tcp = { kind: 'tcp', host: '', port: 9091 } as const
  const unix = { kind: 'unix', path: '/run/postern.sock' } as const
  const judged = (address: typeof tcp | typeof unix, entries: string[]) =>
    proxiesFindings({ address, trusted_proxies: entries } as Parameters<typeof proxiesFindings>[0]).map(
      ({ severity, reason }) => reason ?? severity,
    )

  it.each([
    [tcp, ['127.0.0.0/8', '::1/128'], ['ok']],
    [tcp, ['172.18.0.5'], ['ok']],
    [tcp, ['172.16.0.0/12', '192.168.0.0/16', 'fd00::/64'], ['ok']],
    [tcp, ['203.0.113.7'], ['ok']],
    [tcp, ['203.0.113.0/24'], ['proxies-wide']],
    [tcp, ['10.0.0.0/8'], ['proxies-wide']],
    [tcp, ['2001:db8::/32', '10.1.2.3'], ['proxies-wide']],
    [tcp, [], ['gate-untrusted-peer']],
    [tcp, ['unix'], ['gate-untrusted-peer']],
    [unix, ['unix'], ['ok']],
    [unix, ['127.0.0.0/8'], ['gate-untrusted-peer']],
  ])('%j trusting %j: %j', (address, entries, expected) => {
    expect(judged(address, entries)).toEqual(expected)
  })
})

describe(logFileFindings, () => {
  it('tells whether the log can be written, and makes no file', async () => {
    const folder = temporaryFolder()
    const at = (name: string) => join(folder, name)
    writeFileSync(at('postern.log'), '')
    const of = async (file_path: string) => (await logFileFindings({ ...log, file_path })).map(({ what }) => what)
    expect(await logFileFindings(log)).toEqual([])
    expect(await of(at('postern.log'))).toEqual([`${at('postern.log')} can be written`])
    expect(await of(at('new.log'))).toEqual([`${at('new.log')} can be written`])
    for (const [path, why] of [
      [at('no/postern.log'), 'its folder is missing'],
      [at('postern.log/postern.log'), 'its folder is missing'],
      [folder, 'it is a folder'],
    ] as const)
      expect(await of(path)).toEqual([expect.stringMatching(`^log.file_path ${path} cannot be opened: ${why}`)])
    expect(readdirSync(folder)).toEqual(['postern.log'])
  })

  it('is one of what doctor looks at', async () => {
    const setup = await setUp()
    const text = readFileSync(setup.configFile, 'utf8')
    writeFileSync(setup.configFile, text.replace('log: { ', 'log: { file_path: /nowhere/postern.log, '))
    const found = await examined(setup)
    expect(found.of('log')).toMatchObject([{ severity: 'error' }])
  })
})

describe('the addresses', () => {
  const metrics = (address: string) => `telemetry: { metrics: { enabled: true, address: "${address}" } }\n`
  const addresses = async (setup: Setup) =>
    (await examined(setup)).of('address').map(({ severity, what }) => `${severity} ${what}`)

  it('are free, or Postern’s own, which goes on', async () => {
    const [folder, port] = [temporaryFolder(), await freePort()]
    const socket = join(folder, 'metrics.sock')
    for (const address of [`unix://${socket}`, `tcp://127.0.0.1:${port}`]) {
      const setup = await setUp({ more: metrics(address) })
      const places = [`server.address tcp://127.0.0.1:${setup.port}`, `telemetry.metrics.address ${address}`]
      expect(await addresses(setup)).toEqual(places.map(place => `ok ${place} is free`))
      const postern = await startPostern(setup)
      expect(await addresses(setup)).toEqual(places.map(place => `ok Postern listens on ${place}`))
      await postern.stop('SIGKILL')
      // What was killed leaves its socket behind, and the next one takes it away.
      expect(await addresses(setup)).toEqual(places.map(place => `ok ${place} is free`))
    }
    expect(existsSync(socket)).toBe(true)
  })

  it('are taken by something else, as by Authelia, or cannot be had', async () => {
    const other = createServer((request, response) => {
      response.writeHead(request.url === '/api/health' ? 200 : 404).end('{"status":"OK"}')
    })
    onTestFinished(() => void other.close())
    const setup = await setUp({ more: metrics('unix:///nowhere/metrics.sock') })
    await new Promise<void>(resolve => other.listen(setup.port, '127.0.0.1', resolve))
    expect(await addresses(setup)).toEqual([
      expect.stringMatching(
        /^error Postern could not listen on server\.address .*: something else listens there already$/,
      ),
      expect.stringMatching(/^error .*metrics\.sock: its folder is missing, or this user may not write to it$/),
    ])
  })
})
