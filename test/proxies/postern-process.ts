// The built server in a process of its own, so that a test can stop it: `postern-process.ts CONFIGURATION`. Says the cookies of two people.
import { pino } from 'pino'
import { serveBuilt } from '../support/serve-built.ts'

const cookies = await serveBuilt(process.argv[2] ?? '', pino())
console.log(`cookies ${JSON.stringify(cookies)}`)
