// Logs in, raises and logs out without pause, until it is killed. Tells each step before and after it, in one write each.
import { writeSync } from 'node:fs'
import { pino } from 'pino'
import { configSchema } from '../../src/config/schema.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import type { Started } from '../../src/session/session.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { createAudit } from '../../src/telemetry/audit.ts'

const [path = '', configText = '', round = ''] = process.argv.slice(2)
const config = configSchema.shape.session.parse(JSON.parse(configText))
const [domain] = config.cookies
if (domain === undefined) throw new Error('no domain')
const log = pino({ level: 'silent' })
const clock = Date.now
const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path } }, { log })
const sessions = await openSessions({ config, storage, redis: null, clock, log, audit: createAudit(log) })
const tell = (what: string, ...keys: string[]) => writeSync(1, `${[what, ...keys].join(' ')}\n`)
const from = { browser: 'Firefox on Linux', ip: undefined }
const key = ({ session }: Started) => session.key

async function live(username: string): Promise<never> {
  if (domain === undefined) throw new Error('no cookie domain')
  for (;;) {
    const first = await sessions.start(domain, { username, credential: 'c', remember: false, ...from }, null)
    tell('started', key(first))
    tell('replacing', key(first))
    const second = await sessions.start(domain, { username, credential: 'c', remember: false, ...from }, first.session)
    tell('replaced', key(first), key(second))
    tell('raising', key(second))
    const third = await sessions.raise(second.session, { how: 'push', at: clock(), said: '' })
    if (third === 'ended') throw new Error('somebody else ended it')
    tell('raised', key(second), key(third))
    tell('ending', key(third))
    if (Math.random() < 0.5) await sessions.end(third.session)
    else await sessions.endAllOf(username)
    tell('ended', key(third))
    const kept = await sessions.start(
      domain,
      { username: `${username}-kept`, credential: 'c', remember: false, ...from },
      null,
    )
    tell('started', key(kept))
  }
}

tell('ready')
await Promise.all([live(`alice-${round}`), live(`bob-${round}`)])
