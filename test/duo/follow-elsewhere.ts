// A Postern of its own for lease.test.ts: sends a push for alice and follows it, until it is killed.
import { pino } from 'pino'
import { openDuo } from '../../src/duo/open-duo.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { duoConfig, facts, owner, unregulated } from './people.ts'

const [file = '', port = '', caFile = '', ahead = '0'] = process.argv.slice(2)
const log = pino()
const clock = () => Date.now() + Number(ahead)
const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: file } }, { log })
const duo = await openDuo({
  config: duoConfig({ hostname: `localhost:${port}`, ca_file: caFile }),
  application: 'Postern',
  encryptionKey: 'x'.repeat(20),
  people: unregulated,
  storage,
  redis: null,
  clock,
  log,
  audit: event => console.log(event),
})
const started = await duo.start(owner('alice'), undefined, facts())
console.log(started.outcome)
setInterval(() => {}, 1_000)
