import { createHmac, randomBytes, randomInt } from 'node:crypto'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import type { News } from './news.ts'
import type { AccountUser, SimulatedDevice } from './users.ts'

/** A text message with passcodes. */
export interface TextMessage {
  readonly sentAt: Milliseconds
  readonly passcodes: readonly string[]
}

export interface Passcodes {
  /** The next passcode of Duo Mobile or of a token: what its display shows after a press. Undefined for a device that makes none. */
  next(device: SimulatedDevice): string | undefined
  /** What the display shows since the last press; undefined when there was none, or when that passcode is used up. */
  shown(deviceId: string): string | undefined
  /** Sends a batch to a phone. The batch before it is void from now on. */
  text(device: SimulatedDevice, count: number): void
  /** What a phone received, oldest first. */
  messages(deviceId: string): readonly TextMessage[]
  /** Those of the newest message that are still good. */
  unused(deviceId: string): readonly string[]
  /** Whether a passcode is one of this user's. It is used up then: by itself, and with it whatever the same display showed before. */
  take(user: AccountUser, passcode: string): boolean
}

const DIGITS = 6
/** So often may a display be pressed between two passcodes that are used. RFC 4226, section 7.4. */
const LOOK_AHEAD = 20
/** Who pressed oftener gives three passcodes in a row within five minutes: the third lets in. */
const RESYNC_AHEAD = 1000
const RESYNC_PASSCODES = 3
const RESYNC_WITHIN: Milliseconds = 5 * MINUTE
const MESSAGES_AT_MOST = 10

interface Display {
  readonly secret: Buffer
  /** Of the next passcode that is shown. */
  next: number
  /** Of the first passcode that is still good. */
  good: number
  /** Passcodes in a row that were too far ahead. */
  resync: { next: number; passcodes: number; since: Milliseconds } | undefined
}

/** A one-time passcode. RFC 4226, section 5.3. */
export function hotp(secret: Buffer, counter: number): string {
  const moving = Buffer.alloc(8)
  moving.writeBigUInt64BE(BigInt(counter))
  const mac = createHmac('sha1', secret).update(moving).digest()
  const offset = mac.readUInt8(mac.length - 1) & 0xf
  const number = mac.readUInt32BE(offset) & 0x7fff_ffff
  return String(number % 10 ** DIGITS).padStart(DIGITS, '0')
}

/** A phone with Duo Mobile, or a hardware token. */
export const makesPasscodes = ({ type, capabilities }: SimulatedDevice) =>
  type === 'token' || capabilities.includes('mobile_otp')

export function openPasscodes(clock: Clock, news: News): Passcodes {
  const displays = new Map<string, Display>()
  const messages = new Map<string, TextMessage[]>()
  const unused = new Map<string, string[]>()

  function displayOf(deviceId: string): Display {
    const known = displays.get(deviceId)
    if (known) return known
    const display: Display = { secret: randomBytes(20), next: 0, good: 0, resync: undefined }
    displays.set(deviceId, display)
    return display
  }

  /** Of a display; the passcodes before it become void. */
  function takeShown(deviceId: string, passcode: string): boolean {
    const display = displayOf(deviceId)
    for (let counter = display.good; counter < display.good + RESYNC_AHEAD; counter++) {
      if (hotp(display.secret, counter) !== passcode) continue
      if (counter >= display.good + LOOK_AHEAD && !resynchronises(display, counter)) return false
      Object.assign(display, { good: counter + 1, next: Math.max(display.next, counter + 1), resync: undefined })
      return true
    }
    return false
  }

  function resynchronises(display: Display, counter: number): boolean {
    const now = clock()
    const before = display.resync
    const goesOn = before?.next === counter && now - before.since < RESYNC_WITHIN
    const { passcodes, since } = goesOn ? before : { passcodes: 0, since: now }
    display.resync = { next: counter + 1, passcodes: passcodes + 1, since }
    return passcodes + 1 >= RESYNC_PASSCODES
  }

  return {
    next(device) {
      if (!makesPasscodes(device)) return undefined
      const display = displayOf(device.id)
      const passcode = hotp(display.secret, display.next++)
      news.changed()
      return passcode
    },
    shown(deviceId) {
      const display = displays.get(deviceId)
      if (!display || display.next <= display.good) return undefined
      return hotp(display.secret, display.next - 1)
    },
    text(device, count) {
      const rest = () => String(randomInt(10 ** DIGITS)).padStart(DIGITS, '0')
      // The first digits tell the passcodes of a message apart: a client asks for "the one that starts with 3".
      const passcodes = Array.from({ length: count }, (_, i) => `${(i + 1) % 10}${rest()}`)
      const earlier = messages.get(device.id) ?? []
      messages.set(device.id, [...earlier, { sentAt: clock(), passcodes }].slice(-MESSAGES_AT_MOST))
      unused.set(device.id, [...passcodes])
      news.changed()
    },
    messages: deviceId => messages.get(deviceId) ?? [],
    unused: deviceId => unused.get(deviceId) ?? [],
    take(user, passcode) {
      if (passcode === user.passcode) return true
      const taken =
        user.devices.some(device => makesPasscodes(device) && takeShown(device.id, passcode)) ||
        user.devices.some(({ id }) => strike(unused.get(id) ?? [], passcode)) ||
        strike(user.unusedBypassCodes, passcode)
      if (taken) news.changed()
      return taken
    },
  }
}

/** Removes an entry. False when it is not there. */
function strike(list: string[], entry: string): boolean {
  const at = list.indexOf(entry)
  if (at !== -1) list.splice(at, 1)
  return at !== -1
}
