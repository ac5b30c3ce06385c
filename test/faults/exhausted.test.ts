import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Client } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { duoKeys, type Setup, setUp } from '../support/postern.ts'
import { node, projectRoot, start, until } from '../support/process.ts'
import { lines, visitor } from './visitor.ts'

/** As it ships, under limits of the shell: `ulimit -n 200`. */
async function serveUnder(limit: string, setup: Setup, nodeOptions = '') {
  const command = `${limit} && exec ${node} ${nodeOptions} ${join(projectRoot, 'dist/main.js')} serve --config ${setup.configFile}`
  const running = start('sh', ['-c', command])
  await running.line(/serving/)
  const memory = () =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${running.child.pid}/status`, 'utf8'))?.[1]) / 1024
  return { ...running, memory }
}

/** Connections that stay open for as long as the server lets them. */
async function connectionsTo(port: number, many: number) {
  const sockets = Array.from({ length: many }, () => connect(port, '127.0.0.1').on('error', () => {}))
  const open = () => sockets.filter(socket => !socket.destroyed)
  const close = () => {
    for (const socket of sockets) socket.destroy()
  }
  onTestFinished(close)
  await Promise.all(
    sockets.map(socket => new Promise(resolve => socket.once('connect', resolve).once('close', resolve))),
  )
  return { sockets, open, close }
}

const gateRequest = {
  path: '/api/authz/forward-auth',
  method: 'GET',
  headers: {
    host: 'auth.postern.localhost',
    'x-forwarded-method': 'GET',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'public.postern.localhost',
    'x-forwarded-uri': '/',
  },
} as const

describe('file handles', () => {
  it('row 171: more connections than there are handles for: those beyond are closed; a proxy’s kept one is answered, a phone rings, and it heals', async () => {
    const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
    onTestFinished(() => simulator.close())
    const setup = await setUp({ duo: simulator, duoKeys: 'failmode: safe' })
    const postern = await serveUnder('ulimit -n 200', setup)
    const alice = visitor(setup.port)
    await alice.signIn()
    const proxy = new Client(`http://127.0.0.1:${setup.port}`)
    onTestFinished(() => proxy.close())
    const ask = async () => {
      const answer = await proxy.request(gateRequest)
      await answer.body.dump()
      return answer.statusCode
    }
    expect(await ask()).toBe(200)
    const person = new Client(`http://127.0.0.1:${setup.port}`)
    onTestFinished(() => person.close())
    const post = async (path: string) => {
      const headers = { host: 'auth.postern.localhost', cookie: alice.cookie, 'content-type': 'application/json' }
      const answer = await person.request({ path, method: 'POST', headers, body: '{}' })
      await answer.body.dump()
      return answer.statusCode
    }
    await person.request(gateRequest).then(({ body }) => body.dump())

    const crowd = await connectionsTo(setup.port, 400)
    await until(() => crowd.open().length < 200, 'those beyond are closed')
    expect(crowd.open().length).toBeGreaterThan(50)
    for (let time = 0; time < 50; time += 1) expect(await ask()).toBe(200)
    const second = post('/api/secondfactor/duo')
    await until(() => simulator.pushes()[0]?.state === 'pending', 'the phone rings')
    simulator.answer(simulator.pushes()[0]?.id ?? '', 'approve')
    expect(await second).toBe(200)
    expect(postern.output()).not.toContain('duo.failmode')

    crowd.close()
    const later = visitor(setup.port)
    await until(
      async () => (await later.gate('public').catch(() => null))?.status === 200,
      'new connections are answered',
    )
    expect(await later.signIn()).toMatchObject({ status: 200 })
    expect(lines(postern.output(), /"level":"(error|fatal)"/)).toBe(0)
  })
})

describe('a call to Duo', () => {
  it.each(['127.0.0.1:9', 'localhost:9', 'api-00000000.duosecurity.com'])(
    'row 171: to %s, for which no handle is left, is no outage of Duo’s: failmode safe opens nothing by it',
    async hostname => {
      const program = join(import.meta.dirname, 'call-without-handles.ts')
      // Node closes some when it likes: a call that could have one of them proves nothing.
      const said = await until(async () => {
        const starved = start('sh', ['-c', `ulimit -n 60 && exec ${node} ${program} ${hostname}`])
        expect(await starved.exit).toBe(0)
        return !starved.output().includes('one came free') && starved.output()
      }, 'a call without a handle')
      expect(said).toContain(': no outage')
    },
  )
})

describe('memory', () => {
  it('row 171: clients that ask on and on and never read: they are cut off, and others are answered', async () => {
    const setup = await setUp()
    const postern = await serveUnder('true', setup, '--max-old-space-size=96')
    const here = visitor(setup.port)
    await here.gate('public')
    const atFirst = postern.memory()
    const crowd = await connectionsTo(setup.port, 20)
    const block = Buffer.from('GET / HTTP/1.1\r\nhost: auth.postern.localhost\r\n\r\n'.repeat(500))
    // Each writes for as long as the other side takes it, and reads nothing.
    for (const socket of crowd.sockets) {
      socket.pause()
      const write = () => {
        while (!socket.destroyed && socket.write(block));
      }
      socket.on('drain', write)
      write()
    }
    await until(async () => {
      expect((await here.gate('public').catch(() => null))?.status, postern.output()).toBe(200)
      return crowd.open().length === 0
    }, 'they are cut off')
    expect(postern.memory() - atFirst).toBeLessThan(100)
    expect(await here.signIn()).toMatchObject({ status: 200 })
  })

  it('row 171: more sign-ins at once than can be hashed: some wait, the rest are told to come again, and it lives on a small heap', async () => {
    const setup = await setUp()
    const postern = await serveUnder('true', setup, '--max-old-space-size=48')
    const statuses = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        visitor(setup.port)
          .signIn(`nobody${index}`)
          .then(({ status }) => status),
      ),
    )
    expect(statuses.every(status => [401, 429, 503].includes(status))).toBe(true)
    expect(postern.child.exitCode).toBeNull()
    expect(await visitor(setup.port).signIn()).toMatchObject({ status: 200 })
  })
})
