import { isIP, connect as netConnect } from 'node:net'
import { type ConnectionOptions, checkServerIdentity, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { Client } from 'ldapts'
import { type Milliseconds, SECOND } from '../clock.ts'
import type { LdapAddress } from '../config/ldap.ts'

export interface LdapServer {
  readonly address: LdapAddress
  readonly start_tls: boolean
  /** From the connection to the last answer. */
  readonly timeout: Milliseconds
  readonly tls: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'minVersion' | 'maxVersion'>
}

/**
 * Gives a connection to `use`, and ends it. One client, one connection: ldapts connects anew by itself, which after StartTLS would be in
 * the clear, and the next thing sent is a password.
 * @throws when the directory cannot be reached, does not answer in time, refuses StartTLS or has a certificate that is not trusted
 */
export async function withConnection<T>(server: LdapServer, use: (client: Client) => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const seconds = server.timeout / SECOND
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${seconds} s`)), server.timeout)
  const connecting = connect(server)
  // Not waited for: the connection ends either way, and a server that is slow would be waited for twice.
  const end = () => void connecting.then(client => client.unbind()).catch(() => {})
  try {
    return await Promise.race([connecting.then(use), late.promise])
  } finally {
    clearTimeout(timer)
    end()
  }
}

async function connect(server: LdapServer): Promise<Client> {
  const { address, timeout } = server
  const limits = { timeout, connectTimeout: timeout }
  if (address.kind === 'unix')
    return new Client({ ...limits, url: 'ldap://localhost', createConnection: once(() => netConnect(address.path)) })
  const { scheme, host, port } = address
  const options = { ...limits, url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}` }
  const name = server.tls.servername ?? host
  const tls: ConnectionOptions = {
    ...server.tls,
    servername: isIP(name) === 0 ? name : '', // an address may not be asked for; the certificate is compared with it all the same
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: true,
  }
  if (scheme === 'ldaps')
    return new Client({ ...options, createSecureConnection: once(() => tlsConnect({ ...tls, host, port, timeout })) })
  if (!server.start_tls) return new Client({ ...options, createConnection: once(() => netConnect({ host, port })) })
  const socket = await startTls(options, tls, timeout)
  return new Client({ ...options, createConnection: once(() => socket) })
}

/** The one connection of a client. */
function once<T>(open: () => T): () => T {
  let taken = false
  return () => {
    if (taken) throw new Error('the connection to the directory ended')
    taken = true
    return open()
  }
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
