import { MINUTE, SECOND } from '../../clock.ts'
import { parseDuration } from '../duration.ts'
import type { Report } from './report.ts'

const GUARD = ['duo_api', 'guard'] as const
const KEYS = ['hostname', 'integration_key', 'secret_key'] as const

/** What weakens the second factor, or is no guard as it was meant. */
export function checkDuoGuards(report: Report): void {
  const isOff =
    report.value(['duo_api', 'disable']) === true || KEYS.every(key => report.text(['duo_api', key]) === undefined)
  if (isOff) return
  if (report.value(['duo_api', 'failmode']) === 'safe')
    report.warning(
      ['duo_api', 'failmode'],
      'While Duo cannot be asked, a right password alone opens what wants two_factor, also to whoever keeps this machine from reaching Duo (docs/duo.md).',
    )
  const first = durationAt(report, 'first_pause') ?? 30 * SECOND
  const longest = durationAt(report, 'longest_pause') ?? 15 * MINUTE
  if (first > longest)
    report.warning(
      [...GUARD, report.value([...GUARD, 'first_pause']) === undefined ? 'longest_pause' : 'first_pause'],
      `The first pause after a denial (${first / SECOND} s) would be longer than the longest (${longest / SECOND} s): each lasts ${longest / SECOND} s. Make longest_pause at least as long as first_pause.`,
    )
}

function durationAt(report: Report, key: string): number | undefined {
  const value = report.value([...GUARD, key])
  return typeof value === 'string' || typeof value === 'number' ? parseDuration(value) : undefined
}
