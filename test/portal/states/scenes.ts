import { pixel, type Scene } from '../fake-login.ts'

export const two = 'rd=https%3A%2F%2Ftwo.postern.localhost%2Freports%2F2026'
export const signedIn =
  (changes: Partial<Scene> = {}) =>
  () => ({ level: 1 as const, ...changes })
export const offered = (offer: Scene['offer']) => signedIn({ offer })
export const phone = pixel
export const work = { ...pixel, id: 'DPHONE3', name: 'Work phone', number: '+XX XXX XXX 0199' }
export const passcode = { kind: 'passcode' } as const
const all = ['push', 'phone', 'sms'] as const
export const everyWay = [...all.map(kind => ({ kind, device: 'DPHONE1' })), passcode]
export const again = { to: 'prove', host: 'two.postern.localhost', maxAge: 900_000, factors: [] } as const
export const MINUTE = 60_000
export const DAY = 24 * 60 * MINUTE
