import { ErrorReply } from '@redis/client'
import { RedisDown, type RedisReason } from './redis.ts'

/** First words of Redis' error replies, and what they mean for whoever asked. Others are Postern's own mistakes. */
const meanings: Readonly<Record<string, RedisReason>> = {
  NOAUTH: 'redis-denied',
  WRONGPASS: 'redis-denied',
  NOPERM: 'redis-denied',
  OOM: 'redis-full',
  MISCONF: 'redis-full',
  NOREPLICAS: 'redis-full',
  READONLY: 'redis-read-only',
  LOADING: 'redis-down',
  MASTERDOWN: 'redis-down',
  CLUSTERDOWN: 'redis-down',
  TRYAGAIN: 'redis-down',
  BUSY: 'redis-down',
}

/** What a script may not do has no word of its own in Redis 7.0. */
const notAllowed = /^ERR The user executing the script can't (?:run this command|access at least one)/

/** The first word of an error reply: `READONLY`; undefined where Redis did not say anything. */
export function replyCode(error: unknown): string | undefined {
  return error instanceof ErrorReply ? /^[A-Z]+/.exec(error.message)?.[0] : undefined
}

/** What a failed command means: `RedisDown`, or the reply itself where Redis says that the command is wrong. */
export function asFault(error: unknown): unknown {
  if (error instanceof RedisDown) return error
  const code = replyCode(error)
  const detail = error instanceof Error ? messageOf(error) : String(error)
  if (code === undefined) return new RedisDown(isOfTls(error) ? 'redis-tls' : 'redis-down', detail, error)
  const reason = notAllowed.test(detail) ? 'redis-denied' : Object.hasOwn(meanings, code) ? meanings[code] : undefined
  return reason === undefined ? error : new RedisDown(reason, detail, error)
}

/** A server that is not what it was taken for; not to be mended by waiting. */
export class WrongServer extends Error {}

/** Older than Redis 6, or with fewer databases than the configuration says. */
const doesNotFit = /^(?:ERR unknown command|NOPROTO|ERR DB index is out of range|ERR invalid DB index)/

/** The same where nothing but Redis can be at fault: while connecting. Its cause is a `WrongServer` where waiting mends nothing. */
export function connectFault(error: unknown): RedisDown {
  const fault = asFault(error)
  if (fault instanceof RedisDown) return fault
  const detail = fault instanceof Error ? fault.message : String(fault)
  return new RedisDown('redis-down', detail, doesNotFit.test(detail) ? new WrongServer(detail) : error)
}

/** Where a name has several addresses, Node packs one error for each and no words. */
function messageOf(error: Error): string {
  if (error.message !== '') return error.message
  return error instanceof AggregateError ? error.errors.map(one => String(one?.message ?? one)).join('; ') : error.name
}

/** OpenSSL's words for a certificate have no prefix in common: what is neither the system's nor Node's own is TLS's. */
function isOfTls(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === 'EPROTO' || /^ERR_(?:SSL|TLS)_/.test(code)) return true
  return code !== '' && !/^(?:E[A-Z0-9]+$|EAI_|ERR_)/.test(code)
}
