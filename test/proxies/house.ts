import { createServer } from 'node:http'
import { type Answer, exchange } from '../gate/house.ts'
import { type Setup, setUp } from '../support/postern.ts'
import { freePort, node, type Running, start } from '../support/process.ts'
import { type ProxyKind, startProxy } from '../support/proxies.ts'

type Cleanup = (end: () => void | Promise<void>) => void

/** What the application received. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly bytes: number
}

export interface House {
  readonly port: number
  /** Where Postern listens. */
  readonly setup: Setup
  readonly received: Received[]
  readonly cookies: { readonly alice: string; readonly bob: string }
  readonly postern: Running
  ask(host: string, options?: Request): Promise<Answer>
}

interface Request {
  readonly target?: string
  readonly method?: string
  readonly cookie?: string
  readonly lines?: readonly string[]
  readonly body?: string
  readonly accept?: string
  readonly host?: string
}

/** A proxy with the files of deploy/, Postern behind it, and an application that remembers what it got. */
export async function openHouse(kind: ProxyKind, cleanup: Cleanup): Promise<House> {
  const received: Received[] = []
  const app = createServer((request, response) => {
    let bytes = 0
    request.on('data', chunk => {
      bytes += chunk.length
    })
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request
      received.push({ method, url, rawHeaders, bytes })
      const status = url.startsWith('/status/') ? Number(url.slice('/status/'.length)) : 200
      response.writeHead(status, { 'content-length': 7, 'set-cookie': 'of-the-app=1' }).end('the app')
    })
  })
  await new Promise<void>(resolve => app.listen(0, '127.0.0.1', resolve))
  cleanup(() => {
    app.closeAllConnections()
    app.close()
  })
  const address = app.address()
  if (address === null || typeof address === 'string') throw new Error('no port')

  const port = await freePort()
  const setup = await setUp({ publicPort: port, users: ['alice', 'bob'] }, cleanup)
  const postern = start(node, [`${import.meta.dirname}/postern-process.ts`, setup.configFile], { cleanup })
  const [, cookies = ''] = await postern.line(/^cookies (.*)$/m)
  await startProxy(kind, { publicPort: port, posternPort: setup.port, appPort: address.port }, cleanup)
  return {
    port,
    setup,
    received,
    cookies: JSON.parse(cookies),
    postern,
    ask: (name, { target = '/', method = 'GET', cookie, lines = [], body, accept = 'text/html', host } = {}) =>
      exchange(
        { port },
        [
          `${method} ${target} HTTP/1.1`,
          `Host: ${host ?? `${name}.postern.localhost:${port}`}`,
          ...(accept === '' ? [] : [`Accept: ${accept}`]),
          ...(cookie === undefined ? [] : [`Cookie: ${cookie}`]),
          ...lines,
          ...(body === undefined ? [] : [`Content-Length: ${body.length}`]),
          ...(lines.some(line => /^connection:/i.test(line)) ? [] : ['Connection: close']),
          '',
          body ?? '',
        ].join('\r\n'),
      ),
  }
}

/** What an application reads that folds names, as CGI and WSGI do: every character but letters and digits is `_`. */
export function folded({ rawHeaders }: Received, name: string): string {
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.toUpperCase().replace(/[^A-Z0-9]/g, '_') === name) values.push(rawHeaders[i + 1] ?? '')
  return values.filter(value => value !== '').join(',')
}
