import { maskedNumber, type SimulatedDevice } from './users.ts'

/** One of the ways to authenticate: what duo_unix offers as a numbered list. */
export interface Way {
  readonly factor: 'push' | 'phone' | 'sms'
  readonly device: SimulatedDevice
}

const factors = ['push', 'phone', 'sms'] as const
const words = { push: 'Duo Push to', verified: 'Verified Duo Push to', phone: 'Phone call to', sms: 'SMS passcodes to' }
const names = { push: 'push', phone: 'phone', sms: 'smsrefresh' } as const

/** What a user can do, in the order of the list: pushes, then calls, then texts. */
function waysOf(devices: readonly SimulatedDevice[], can: (way: Way) => boolean): Way[] {
  return factors.flatMap(factor => devices.map(device => ({ factor, device })).filter(can))
}

/**
 * The list as duo_unix shows it, and what each number stands for.
 * @param verified whether a push would be a verified one
 * @param nextCode the first digit of a device's next SMS passcode
 */
export function textPrompt(
  username: string,
  devices: readonly SimulatedDevice[],
  can: (way: Way) => boolean,
  verified: boolean,
  nextCode: (deviceId: string) => string | undefined,
): { text: string; factors: Record<string, string> } {
  const ways = waysOf(devices, can)
  const counted = { push: 0, phone: 0, sms: 0 }
  const list = ways.map(({ factor, device }) => {
    const next = factor === 'sms' ? nextCode(device.id) : undefined
    const label = maskedNumber(device.number) || `${device.name || 'device'} (${device.platform})`
    const what = words[factor === 'push' && verified ? 'verified' : factor]
    return {
      name: `${factor === 'push' && verified ? 'verified_push' : names[factor]}${++counted[factor]}`,
      words: `${what} ${label}${next === undefined ? '' : ` (next code starts with: ${next})`}`,
    }
  })
  const heading = `Duo two-factor login for ${username}\n\nEnter a passcode`
  if (list.length === 0) return { text: `${heading}: `, factors: {} }
  const lines = list.map((entry, i) => ` ${i + 1}. ${entry.words}`).join('\n')
  return {
    text: `${heading} or select one of the following options:\n\n${lines}\n\nPasscode or option (1-${list.length}): `,
    factors: {
      ...Object.fromEntries(list.map(({ name }, i) => [String(i + 1), name])),
      default: list[0]?.name ?? '',
    },
  }
}

/** What was chosen from the list, by the name that its number stands for. Whatever is no such name is a passcode: duo_unix sends what was typed. */
export function chosen(
  prompt: string,
  devices: readonly SimulatedDevice[],
  can: (way: Way) => boolean,
): Way | { factor: 'passcode'; passcode: string } {
  const [, name, number = ''] = /^(push|verified_push|phone|smsrefresh)(\d{0,4})$/.exec(prompt) ?? []
  const factor = name === 'phone' ? 'phone' : name === 'smsrefresh' ? 'sms' : 'push'
  const ways = name === undefined ? [] : waysOf(devices, can).filter(way => way.factor === factor)
  return ways[number === '' ? 0 : Number(number) - 1] ?? { factor: 'passcode', passcode: prompt }
}
