import type { OutgoingHttpHeaders } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:tls'

export interface Answer {
  readonly status: number
  /** Names in lower case; a doubled one keeps its last. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One connection over TLS. What is sent goes out byte for byte: a client library would mend what a test breaks. */
export interface Wire {
  send(bytes: string): void
  /** The next answer, whole; undefined where the other side closes instead. @param method HEAD has no body */
  answer(method?: string): Promise<Answer | undefined>
  /** The next so many bytes, after a switch of protocols. */
  read(bytes: number): Promise<string>
  close(): void
}

export function dial(at: { readonly address: string; readonly port: number }): Wire {
  const socket = connect({
    host: at.address,
    port: at.port,
    servername: 'one.postern.localhost',
    rejectUnauthorized: false,
  })
  let got = ''
  let over = false
  let notify = () => {}
  socket.on('data', chunk => {
    got += chunk.toString('latin1')
    notify()
  })
  const end = () => {
    over = true
    notify()
  }
  socket.on('end', end).on('close', end).on('error', end)

  /** Waits until `find` gives something of what has come. */
  async function until<T>(find: (text: string, over: boolean) => T | undefined): Promise<T | undefined> {
    for (;;) {
      const found = find(got, over)
      if (found !== undefined || over) return found
      await new Promise<void>(resolve => {
        notify = resolve
      })
    }
  }
  const take = (length: number) => {
    const taken = got.slice(0, length)
    got = got.slice(length)
    return taken
  }

  return {
    send: bytes => void socket.write(bytes, 'latin1'),
    close: () => void socket.destroy(),
    async read(bytes) {
      await until(text => (text.length >= bytes ? true : undefined))
      return take(bytes)
    },
    async answer(method = 'GET') {
      for (;;) {
        const headEnd = await until(text => (text.includes('\r\n\r\n') ? text.indexOf('\r\n\r\n') + 4 : undefined))
        if (headEnd === undefined) return undefined
        const head = parseHead(take(headEnd))
        if (head.status < 200 && head.status !== 101) continue
        return { ...head, body: await body(head, method) }
      }
    },
  }

  async function body({ status, headers }: Omit<Answer, 'body'>, method: string): Promise<string> {
    if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return ''
    if (/chunked$/i.test(headers['transfer-encoding'] ?? '')) return chunks()
    const length = headers['content-length']
    if (length === undefined) {
      await until(() => undefined)
      return take(got.length)
    }
    await until(text => (text.length >= Number(length) ? true : undefined))
    return take(Number(length))
  }

  async function chunks(): Promise<string> {
    let text = ''
    for (;;) {
      const size = await until(come => /^([0-9a-f]+)[^\n]*\r\n/i.exec(come) ?? undefined)
      if (size === undefined) return text
      take(size[0].length)
      const length = Number.parseInt(size[1] ?? '', 16)
      await until(come => (come.length >= length + 2 ? true : undefined))
      text += take(length)
      take(2)
      if (length === 0) return text
    }
  }
}

function parseHead(text: string): Omit<Answer, 'body'> {
  const [first = '', ...fields] = text.trimEnd().split('\r\n')
  return { status: Number(first.split(' ')[1]), headers: Object.fromEntries(fields.map(field)) }
}

/** A header line: its name in lower case, and its value. */
export function field(line: string): readonly [name: string, value: string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

/** One request over HTTP/2 on a connection of its own. Rejects where the stream or the connection is reset, or the other side speaks HTTP/1 only. */
export function askHttp2(
  at: { readonly address: string; readonly port: number },
  headers: OutgoingHttpHeaders,
): Promise<Omit<Answer, 'body'>> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://${at.address}:${at.port}`, {
      servername: 'one.postern.localhost',
      rejectUnauthorized: false,
    })
    const fail = (error: Error) => {
      session.destroy()
      reject(error)
    }
    const stream = session.on('error', fail).request(headers, { endStream: true })
    stream.on('error', fail).on('response', ({ ':status': status, ...rest }) => {
      const texts = Object.entries(rest).map(([name, value]) => [name, String(value)] as const)
      resolve({ status: status ?? 0, headers: Object.fromEntries(texts) })
      session.destroy()
    })
    stream.on('close', () => fail(new Error('the stream was closed without an answer')))
  })
}
