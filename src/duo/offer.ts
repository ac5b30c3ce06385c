import { deviceAnswer, type Preauth } from './answers.ts'
import type { DuoAnswer } from './client.ts'
import type { Device, DuoTrouble, Offer } from './duo.ts'
import type { DuoFailure } from './failure.ts'
import { isPlain, plainText } from './text.ts'

export const SAID_LIMIT = 200
const NAME_LIMIT = 60
const DEVICES_SHOWN = 50

interface Circumstances {
  /** The configured API host, without port. */
  readonly apiHost: string
  readonly selfEnrollment: boolean
  /** The device that this person chose last. */
  readonly kept: string | null
}

/** What a person may do now, from Duo's answer to preauth. */
export function offerFrom(answer: DuoAnswer<Preauth>, { apiHost, selfEnrollment, kept }: Circumstances): Offer {
  if (!answer.ok) return offerWithout(answer.failure)
  const { result, status_msg, devices, enroll_portal_url } = answer.value
  const said = plainText(status_msg, SAID_LIMIT)
  switch (result) {
    case 'allow':
      return { kind: 'allow', said }
    case 'deny':
      return {
        kind: 'deny',
        reason: /\block(ed|s)?[ -]?out\b|\blocked\b/i.test(said) ? 'duo-locked' : 'duo-disabled',
        said,
      }
    case 'enroll':
      return { kind: 'enroll', portalUrl: selfEnrollment ? safePortalUrl(enroll_portal_url, apiHost) : null, said }
    case 'auth':
      return choice(devices, kept)
  }
}

function choice(listed: readonly unknown[], kept: string | null): Offer {
  const all = devicesOf(listed)
  const able = all.filter(({ device }) => device.capabilities.includes('push')).map(({ device }) => device)
  if (able.length > 0) {
    const preferred = able.find(({ id }) => id === kept) ?? (able.length === 1 ? able[0] : undefined)
    const others = able.filter(device => device !== preferred)
    const room = others.slice(0, DEVICES_SHOWN - (preferred === undefined ? 0 : 1))
    const devices = able.filter(device => device === preferred || room.includes(device))
    return { kind: 'choose', devices, preferred: preferred?.id ?? null }
  }
  const phone = all.find(({ type }) => type === 'phone')
  return phone === undefined
    ? { kind: 'no-device', reason: 'duo-no-device', device: null }
    : { kind: 'no-device', reason: 'duo-not-activated', device: phone.device.name }
}

/** Duo's ids are opaque: whatever looks like one is kept as it is, once each. */
function devicesOf(listed: readonly unknown[]): { type: string; device: Device }[] {
  const byId = new Map<string, { type: string; device: Device }>()
  for (const entry of listed) {
    const parsed = deviceAnswer.safeParse(entry)
    if (!parsed.success || !isPlain(parsed.data.device) || byId.has(parsed.data.device)) continue
    const { device: id, type, name, display_name, number, capabilities } = parsed.data
    const shown =
      plainText(name, NAME_LIMIT) || plainText(display_name, NAME_LIMIT) || (type === 'token' ? 'Token' : 'Phone')
    byId.set(id, { type, device: { id, name: shown, number: plainText(number, 30), capabilities } })
  }
  return [...byId.values()]
}

/** Duo names no user or no device: something of this person. Anything else is Duo's or this server's trouble. */
function offerWithout(failure: DuoFailure): Offer {
  const { reason, kind } = failure
  if (kind === 'request' && (reason === 'duo-no-user' || reason === 'duo-no-device'))
    return { kind: 'no-device', reason, device: null }
  return troubleFrom(failure)
}

export function troubleFrom({ kind, reason, detail, clockOffsetSeconds }: DuoFailure): DuoTrouble {
  return {
    kind: kind === 'misconfigured' ? 'misconfigured' : 'unavailable',
    reason,
    detail,
    ...(clockOffsetSeconds === undefined ? {} : { clockOffsetSeconds }),
  }
}

/** The enrolment portal's address, only where it leads to Duo over https; else null. */
export function safePortalUrl(text: string, apiHost: string): string | null {
  if (text.length > 2_000 || !isPlain(text) || !URL.canParse(text)) return null
  const url = new URL(text)
  const isDuos = url.hostname === apiHost || url.hostname.endsWith('.duosecurity.com')
  return url.protocol === 'https:' && isDuos && url.username === '' && url.password === '' ? url.href : null
}
