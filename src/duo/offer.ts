import type { DeviceAnswer, Preauth } from './answers.ts'
import type { DuoAnswer } from './client.ts'
import type { Device, DuoTrouble, Offer, Way } from './duo.ts'
import type { DuoFailure } from './failure.ts'
import { isPlain, plainText } from './text.ts'

export const SAID_LIMIT = 200
const NAME_LIMIT = 60
const DEVICES_SHOWN = 50

interface Circumstances {
  /** The configured API host, without port. */
  readonly apiHost: string
  readonly selfEnrollment: boolean
  /** `duo_api.factors`. */
  readonly factors: readonly Way['kind'][]
  /** The way that this person used last, and what its device was called. */
  readonly kept: { readonly way: Way; readonly name: string } | null
}

/** What a person may do now, from Duo's answer to preauth. */
export function offerFrom(answer: DuoAnswer<Preauth>, circumstances: Circumstances): Offer {
  const { apiHost, selfEnrollment } = circumstances
  if (!answer.ok) return offerWithout(answer.failure)
  const { result, status_msg, devices, enroll_portal_url } = answer.value
  const said = plainText(status_msg, SAID_LIMIT)
  switch (result) {
    case 'allow':
      return { kind: 'allow', said }
    case 'deny':
      return { kind: 'deny', reason: isLockedOut(said) ? 'duo-locked' : 'duo-disabled', said }
    case 'enroll':
      return { kind: 'enroll', portalUrl: selfEnrollment ? safePortalUrl(enroll_portal_url, apiHost) : null, said }
    case 'auth':
      return choice(devices, circumstances)
  }
}

/** Preauth has no code for it: only Duo's words tell a lock-out from another refusal. */
function isLockedOut(said: string): boolean {
  return /\block(ed|s)?[ -]?out\b|\blocked\b/i.test(said)
}

function choice(listed: readonly DeviceAnswer[], { factors, kept }: Circumstances): Offer {
  const all = devicesOf(listed)
  const passcode = factors.includes('passcode')
  const offered = all.flatMap(({ device, type }) => waysOf(device, type))
  if (offered.length === 0) {
    const phone = all.find(({ type }) => type === 'phone')
    return phone === undefined
      ? { kind: 'no-device', reason: 'duo-no-device', device: null, passcode }
      : { kind: 'no-device', reason: 'duo-not-activated', device: phone.device.name, passcode }
  }
  // Duo lists no bypass codes: where there is any way at all, a passcode may be tried too.
  const possible: Way[] = [...offered.filter(({ kind }) => kind !== 'passcode'), { kind: 'passcode' }]
  const allowed = possible.filter(({ kind }) => factors.includes(kind))
  if (allowed.length === 0) return { kind: 'no-device', reason: 'duo-factors', device: null, passcode: false }

  const preferred = preferredOf(allowed, kept?.way ?? null)
  const named = new Set(allowed.flatMap(way => (way.kind === 'passcode' ? [] : [way.device])))
  const able = all.flatMap(({ device }) => (named.has(device.id) ? [device] : []))
  const first = able.find(({ id }) => preferred !== null && preferred.kind !== 'passcode' && id === preferred.device)
  const others = able.filter(device => device !== first).slice(0, DEVICES_SHOWN - (first === undefined ? 0 : 1))
  const devices = able.filter(device => device === first || others.includes(device))
  const shown = new Set(devices.map(({ id }) => id))
  const ways = allowed.filter(way => way.kind === 'passcode' || shown.has(way.device))
  // Gone is a device that Duo does not list. One that may not be used this way now may be used so again.
  const isGone =
    kept !== null && kept.way.kind !== 'passcode' && !all.some(({ device }) => device.id === keptDevice(kept))
  return { kind: 'choose', ways, devices, preferred, forgotten: isGone ? kept.name : null }
}

const keptDevice = ({ way }: { readonly way: Way }) => (way.kind === 'passcode' ? null : way.device)

/** What Duo lets this device do. A token makes passcodes and says so by its type alone. */
function waysOf({ id, capabilities }: Device, type: string): Way[] {
  const ringing = (['push', 'phone', 'sms'] as const).flatMap((kind): Way[] =>
    capabilities.includes(kind) ? [{ kind, device: id }] : [],
  )
  return type === 'token' || capabilities.includes('mobile_otp') ? [...ringing, { kind: 'passcode' }] : ringing
}

function preferredOf(ways: readonly Way[], kept: Way | null): Way | null {
  const again = kept === null ? undefined : ways.find(way => isSameWay(way, kept))
  if (again !== undefined) return again
  const pushes = ways.filter(({ kind }) => kind === 'push')
  const [only] = pushes.length > 0 ? pushes : ways
  return (pushes.length > 0 ? pushes : ways).length === 1 ? (only ?? null) : null
}

export function isSameWay(one: Way, other: Way): boolean {
  return one.kind === 'passcode' || other.kind === 'passcode'
    ? one.kind === other.kind
    : one.kind === other.kind && one.device === other.device
}

/** Duo's ids are opaque: whatever looks like one is kept as it is, once each. */
function devicesOf(listed: readonly DeviceAnswer[]): { type: string; device: Device }[] {
  const byId = new Map<string, { type: string; device: Device }>()
  for (const { device: id, type, name, display_name, number, capabilities, sms_nextcode } of listed) {
    if (!isPlain(id) || byId.has(id)) continue
    const shown =
      plainText(name, NAME_LIMIT) || plainText(display_name, NAME_LIMIT) || (type === 'token' ? 'Token' : 'Phone')
    const device = { id, name: shown, number: plainText(number, 30), capabilities, nextCode: sms_nextcode ?? null }
    byId.set(id, { type, device })
  }
  return [...byId.values()]
}

/** Duo names no user or no device: something of this person. Anything else is Duo's or this server's trouble. */
export function offerWithout(failure: DuoFailure): Offer {
  const { reason, kind } = failure
  if (kind === 'request' && (reason === 'duo-no-user' || reason === 'duo-no-device'))
    return { kind: 'no-device', reason, device: null, passcode: false }
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
