import { connect } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { openPostern } from '../support/in-process.ts'
import { until } from '../support/process.ts'

it.each([
  ['the API', '/api/firstfactor', 'application/json'],
  ['the portal', '/login', 'application/x-www-form-urlencoded'],
  ['the gate', '/api/authz/forward-auth', 'application/json'],
])(
  'row 169: a client of %s that leaves in the middle of its request is no bug, and fills no log',
  async (_, path, type) => {
    const postern = await openPostern()
    let answered = 0
    postern.app.server.on('request', (_request, response) => response.once('close', () => answered++))
    for (let nth = 1; nth <= 3; nth++) {
      const socket = connect(postern.setup.port, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      const came = new Promise(resolve => postern.app.server.once('request', resolve))
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: auth.postern.localhost\r\nContent-Type: ${type}\r\nContent-Length: 100\r\n\r\n{"user`,
      )
      await came
      socket.destroy()
      await until(() => answered === nth, 'it is over')
    }
    await new Promise(resolve => setImmediate(resolve))
    expect(postern.text()).not.toContain('"level":50')
  },
)
