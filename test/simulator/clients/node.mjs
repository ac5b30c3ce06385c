// Drives the npm package's own Client: a call a line comes in as JSON, its outcome goes out as JSON.
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { createInterface } from 'node:readline'
import duo from '@duosecurity/duo_api'

const [integrationKey, secretKey, port, ca, version] = process.argv.slice(2)
// The client insists on port 443 and on Duo's own roots; an agent's options win over a request's.
https.globalAgent = new https.Agent({
  ca: readFileSync(ca),
  host: '127.0.0.1',
  port: Number(port),
  servername: 'localhost',
})
const client = new duo.Client(integrationKey, secretKey, 'localhost', Number(version))
const methods = { ping: 'GET', check: 'GET', logo: 'GET', auth_status: 'GET' }
console.log(JSON.stringify({ version: `signature ${version}` }))
for await (const line of createInterface({ input: process.stdin })) {
  const { name, params } = JSON.parse(line)
  const strings = Object.fromEntries(Object.entries(params).map(([key, value]) => [key, value === true ? '1' : value]))
  const method = methods[name] ?? 'POST'
  // A picture is no JSON, at which jsonApiCall ends the process.
  const text = await new Promise(resolve => client.apiCall(method, `/auth/v2/${name}`, strings, resolve))
  const outcome = text.startsWith('{') ? JSON.parse(text) : { stat: 'OK', response: text.slice(1, 4) }
  console.log(JSON.stringify(outcome.stat === 'OK' ? { response: outcome.response } : { error: outcome }))
}
