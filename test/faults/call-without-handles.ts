// Asks Duo when every file handle that this process may have is taken; for exhausted.test.ts, under `ulimit -n`.
import { openSync } from 'node:fs'
import { pino } from 'pino'
import { duoClient } from '../../src/duo/client.ts'
import { isOutage } from '../../src/duo/failure.ts'

const [hostname = ''] = process.argv.slice(2)
const client = duoClient({
  config: { hostname, integration_key: 'DIXXXXXXXXXXXXXXXXXX', secret_key: 'x'.repeat(40) },
  clock: Date.now,
  log: pino({ level: 'silent' }),
  rootCertificates: undefined,
  deadline: () => 3_000,
})
/** Takes all that are free. Whether there was one. */
function takeHandles(): boolean {
  for (let taken = 0; ; taken++) {
    try {
      openSync('/dev/null', 'r')
    } catch {
      return taken > 0
    }
  }
}
takeHandles()
const answer = await client.preauth({ username: 'alice' })
const told = answer.ok
  ? 'answered'
  : `${answer.failure.detail}: ${isOutage(answer.failure) ? 'an outage' : 'no outage'}`
process.stdout.write(takeHandles() ? 'one came free\n' : `${told}\n`)
process.exit(0)
