import { openSync, writeSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../config/schema.ts'

// A second line of defence: nothing should pass these to the log in the first place.
const secretKeys = [
  'password',
  'cookie',
  'authorization',
  'secret',
  'secret_key',
  'passcode',
  'txid',
  'trusted_device_token',
  'skey',
]
const redact = {
  paths: secretKeys.flatMap(key => [key, `*.${key}`, `*.*.${key}`, `*["${key}"]`]),
  censor: '[redacted]',
}

/**
 * The log: a line of JSON, or of text, for each event. A log that cannot be written (closed pipe, full disk) never stops the server.
 * Requests are not logged one by one; what happens is an audit event.
 * @throws when `file_path` cannot be opened, in words for an administrator
 */
export function createLog({ level, format, file_path, keep_stdout }: Config['log']): Logger {
  const descriptors = [
    ...(file_path === undefined || keep_stdout ? [1] : []),
    ...(file_path === undefined ? [] : [openLogFile(file_path)]),
  ]
  const destination: DestinationStream = {
    write(line) {
      const text = format === 'json' ? escapeControls(line) : asText(line)
      for (const descriptor of descriptors) {
        try {
          writeSync(descriptor, text)
        } catch {} // EPIPE, ENOSPC, EAGAIN: there is nowhere to say it
      }
    },
  }
  return pino(
    {
      level,
      redact,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: errorFields, error: errorFields, req: () => undefined, res: () => undefined },
    },
    destination,
  )
}

function openLogFile(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    const why = code === 'ENOENT' ? 'its folder is missing' : `this user may not write to it (${code})`
    throw new Error(`log.file_path ${path} cannot be opened: ${why}`, { cause })
  }
}

/** Code, words and the causes behind them. A stack only for a bug: it names paths of the machine, for the log alone. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  return {
    type: error.name,
    message: error.message,
    ...('code' in error ? { code: error.code } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: errorFields(error.cause) }),
  }
}

// JSON leaves DEL, the C1 controls and the line separators as they are; a terminal or a reader of lines does not.
function escapeControls(text: string): string {
  return text.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `2026-11-24T13:19:49.000Z info login.failed username="john" ip="192.0.2.1"`: every value is a JSON string, so that none can begin a line or another field. */
function asText(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
  return escapeControls(`${time} ${level} ${JSON.stringify(msg ?? '').slice(1, -1)}${rest.join('')}\n`)
}
