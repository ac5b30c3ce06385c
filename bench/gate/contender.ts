// One contender in a process of its own: `contender.ts gate CONFIGURATION` or `contender.ts empty PORT`. Says `ready` and the cookie to send.
import Fastify from 'fastify'
import { pino } from 'pino'
import { serveBuilt } from '../../test/support/serve-built.ts'

const [, , kind, argument = ''] = process.argv
if (kind === 'gate') await gate(argument)
else await empty(Number(argument))

/** Postern as it is served, with a person who has given a password: SQLite, users file and all. */
async function gate(file: string): Promise<void> {
  const { alice } = await serveBuilt(file, pino({ level: 'info' }))
  console.log(`ready ${alice}`)
}

/** What Fastify itself costs: the same answer, and nothing is asked. */
async function empty(port: number): Promise<void> {
  const app = Fastify()
  app.get('/api/authz/auth-request', (_request, reply) =>
    reply
      .headers({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-type': 'text/plain; charset=utf-8',
        'remote-user': 'alice',
        'remote-groups': 'staff',
        'remote-name': 'Alice Example',
        'remote-email': 'alice@example.com',
        cookie: '',
      })
      .send('200 OK'),
  )
  await app.listen({ host: '127.0.0.1', port })
  console.log('ready x=y')
}
