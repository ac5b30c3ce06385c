import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { Client } from 'ldapts'
import type { Milliseconds } from '../clock.ts'

export interface LdapServer {
  /** `ldap://host:port` or `ldaps://host:port`. */
  readonly address: string
  readonly start_tls: boolean
  /** Of each connection, and of each answer. */
  readonly timeout: Milliseconds
  readonly tls: Pick<ConnectionOptions, 'ca' | 'servername' | 'minVersion'>
}

/**
 * Gives a connection to `use`, and ends it. One client, one connection: ldapts connects anew by itself, which after StartTLS would be in
 * the clear, and the next thing sent is a password.
 * @throws when the directory cannot be reached, does not answer in time, refuses StartTLS or has a certificate that is not trusted
 */
export async function withConnection<T>(server: LdapServer, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect(server)
  try {
    return await use(client)
  } finally {
    await client.unbind().catch(() => {}) // the connection ends either way
  }
}

async function connect(server: LdapServer): Promise<Client> {
  const { address, timeout } = server
  const options = { url: address, timeout, connectTimeout: timeout }
  const host = new URL(address.replace(/^ldaps?:/, 'http:')).hostname.replace(/^\[|\]$/g, '')
  const tls: ConnectionOptions = {
    servername: host,
    host,
    minVersion: 'TLSv1.2',
    ...server.tls,
    rejectUnauthorized: true,
  }
  if (address.startsWith('ldaps:')) return new Client({ ...options, tlsOptions: { ...tls, timeout } })
  if (!server.start_tls) return new Client(options)
  const socket = await startTls(options, tls, timeout)
  let taken = false
  return new Client({
    ...options,
    createConnection: () => {
      if (taken) throw new Error('the connection to the directory ended')
      taken = true
      return socket
    },
  })
}

/**
 * A connection that is encrypted from here on. Its first client is thrown away: what somebody on the wire put behind the answer to
 * StartTLS stays in that one's buffer, where it would begin the answer to the bind.
 */
async function startTls(
  options: { url: string; timeout: Milliseconds; connectTimeout: Milliseconds },
  tls: ConnectionOptions,
  timeout: Milliseconds,
): Promise<TLSSocket> {
  let socket: TLSSocket | undefined
  const plain = new Client({
    ...options,
    createSecureConnection: (given: unknown) => {
      const over = typeof given === 'object' && given !== null ? given : {}
      socket = tlsConnect({ ...over, ...tls })
      return socket
    },
  })
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('StartTLS: no answer in time')), timeout)
  try {
    await Promise.race([plain.startTLS({}), late.promise])
    if (socket === undefined || !socket.authorized) throw new Error('StartTLS: the certificate is not trusted')
    socket.removeAllListeners('data').removeAllListeners('error')
    return socket
  } catch (error) {
    socket?.on('error', () => {}).destroy()
    await plain.unbind().catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
  }
}
