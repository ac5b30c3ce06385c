import { isIP } from 'node:net'
import { described } from '../schema-problems.ts'
import type { Report } from './report.ts'

const HOST = ['duo_api', 'hostname'] as const
const INTEGRATION = ['duo_api', 'integration_key'] as const
const SECRET = ['duo_api', 'secret_key'] as const

const hostShape = 'api-XXXXXXXX.duosecurity.com'
const isIntegrationKey = (text: string) => /^DI[A-Z0-9]{18}$/.test(text)
const isSecretKey = (text: string) => /^[A-Za-z0-9]{40}$/.test(text)
/** Keys of the demo and its simulator, which anybody can read in the source. */
const isDemoKey = (text: string) => text.startsWith('DIDEMO')

/** The three values of Duo's application page, by their shapes: what can be told without asking Duo. */
export function checkDuoKeys(report: Report, isPlaceholder: (value: string) => boolean): void {
  if (report.value(['duo_api', 'disable']) === true) return
  const given = [HOST, INTEGRATION, SECRET].filter(path => report.text(path) !== undefined)
  if (given.length === 0) return
  for (const path of [HOST, INTEGRATION, SECRET]) {
    if (report.text(path) !== undefined) continue
    const others = given.map(one => one[1]).join(' and ')
    report.error(
      path,
      `It is missing, though ${others} ${given.length > 1 ? 'are' : 'is'} given. All three stand on the application’s page in Duo.`,
    )
  }
  const hostname = report.text(HOST)
  const integration = report.text(INTEGRATION)
  const secret = report.text(SECRET)
  if (hostname !== undefined && !isPlaceholder(hostname)) checkHostname(report, hostname)
  if (integration !== undefined && !isPlaceholder(integration)) checkIntegrationKey(report, integration, secret)
  if (
    secret !== undefined &&
    !isPlaceholder(secret) &&
    !(integration && isSecretKey(integration) && isIntegrationKey(secret))
  )
    checkSecretKey(report, secret)
  if (integration !== undefined && isDemoKey(integration) && hostname !== undefined && !isLoopback(hostname))
    report.error(
      INTEGRATION,
      'This is a key of the demo, which everybody knows. It is accepted only where duo_api.hostname is this machine.',
    )
}

function checkHostname(report: Report, hostname: string): void {
  const mend = `Copy the API hostname from the application’s page in Duo: it looks like ${hostShape}.`
  const bare = hostname.replace(/:\d{1,5}$/, '')
  if (/^[a-z]+:\/\//i.test(hostname)) report.error(HOST, `It is a host name, without https://. ${mend}`)
  else if (hostname.includes('/')) report.error(HOST, `It is a host name, without a path. ${mend}`)
  else if (/^admin[-.]/i.test(hostname))
    report.error(HOST, `${described(hostname)} is the host of Duo’s Admin Panel. ${mend}`)
  else if (isIntegrationKey(hostname) || isSecretKey(hostname))
    report.error(HOST, `This looks like one of the keys. ${mend}`)
  else if (
    !(isIP(bare.replace(/^\[|\]$/g, '')) !== 0 || /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(bare)) ||
    portOf(hostname) > 65_535
  )
    report.error(HOST, `This is no host name. ${mend}`)
  else if (
    !/^api-[a-z0-9]+\.(?:duosecurity|duofederal)\.com$/i.test(bare) &&
    !isLoopback(hostname) &&
    report.text(['duo_api', 'ca_file']) === undefined
  )
    report.warning(HOST, `This is not what Duo’s API hostnames look like. ${mend}`)
}

const portOf = (hostname: string) => Number(/:(\d{1,5})$/.exec(hostname)?.[1] ?? 443)

function checkIntegrationKey(report: Report, integration: string, secret: string | undefined): void {
  if (secret !== undefined && isSecretKey(integration) && isIntegrationKey(secret))
    report.error(
      INTEGRATION,
      `The two keys are swapped: integration_key has the shape of a secret key, and secret_key (${report.where(SECRET)}) that of an integration key. Exchange them.`,
    )
  else if (isSecretKey(integration))
    report.error(
      INTEGRATION,
      'This has the shape of a secret key (40 letters and digits). An integration key begins with DI and has 20.',
    )
  else if (!isIntegrationKey(integration) && !isDemoKey(integration))
    report.warning(
      INTEGRATION,
      'This is not what Duo’s integration keys look like: they begin with DI and have 20 letters and digits. Copy it again.',
    )
}

function checkSecretKey(report: Report, secret: string): void {
  if (isIntegrationKey(secret))
    report.error(SECRET, 'This has the shape of an integration key (DI…, 20 letters and digits). A secret key has 40.')
  else if (!isSecretKey(secret))
    report.warning(
      SECRET,
      'This is not what Duo’s secret keys look like: they have 40 letters and digits. Copy it again.',
    )
}

/** A name or address of this machine, with or without a port. */
function isLoopback(hostname: string): boolean {
  const bare = hostname
    .replace(/:\d{1,5}$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  return (
    bare === 'localhost' ||
    bare.endsWith('.localhost') ||
    bare === '::1' ||
    (isIP(bare) === 4 && bare.startsWith('127.'))
  )
}
