// A second Postern process on the same file, as far as sessions go: reads commands from stdin, a JSON line each, and answers with one.
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { z } from 'zod'
import { configSchema } from '../../src/config/schema.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { createAudit } from '../../src/telemetry/audit.ts'

const [path = '', configText = '', nowText = ''] = process.argv.slice(2)
const config = configSchema.shape.session.parse(JSON.parse(configText))
const domain = config.cookies[0]
if (domain === undefined) throw new Error('no domain')
const log = pino({ level: 'silent' })
const clock = () => Number(nowText)
const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path } }, { log })
const sessions = await openSessions({ config, storage, redis: null, clock, log, audit: createAudit(log) })
const command = z.discriminatedUnion('do', [
  z.object({ do: z.literal('find'), headers: z.array(z.string()) }),
  z.object({ do: z.literal('end'), headers: z.array(z.string()) }),
  z.object({ do: z.literal('start'), username: z.string() }),
])

process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  const order = command.parse(JSON.parse(line))
  let answer: unknown
  if (order.do === 'start')
    answer = await sessions.start(
      domain,
      { username: order.username, credential: 'c', remember: false, browser: 'Firefox on Linux', ip: undefined },
      null,
    )
  else {
    const found = await sessions.find(order.headers, domain)
    answer = found
    if (order.do === 'end' && found.state === 'live') await sessions.end(found.session)
  }
  process.stdout.write(`answer ${JSON.stringify(answer)}\n`)
}
await sessions.close()
await storage.close()
