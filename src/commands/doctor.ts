import { lookup } from 'node:dns/promises'
import { userInfo } from 'node:os'
import ipaddr from 'ipaddr.js'
import { pino } from 'pino'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { type Connection, checkDuo, connectDuo } from '../duo/connect.ts'
import { CORRECTED_FROM_SECONDS } from '../duo/duo-clock.ts'
import { readiness } from '../duo/readiness.ts'
import { copyAt, lookAtPostgres, lookAtStorage } from '../storage/look.ts'
import { lookAtRedis } from '../storage/redis/open-redis.ts'
import { RedisDown } from '../storage/redis/redis.ts'
import { storageFile } from '../storage/sqlite-file.ts'
import { StorageProblem } from '../storage/storage-problem.ts'
import { addressFindings } from './doctor/addresses.ts'
import { type Finding, formatFinding, known } from './doctor/finding.ts'
import { logFileFindings } from './doctor/log-file.ts'
import { disabledRow, formatPeople, type PersonRow, peopleFinding, rowOf } from './doctor/people.ts'
import { proxiesFindings } from './doctor/proxies.ts'
import { type WhoMaySignIn, whoMaySignIn } from './doctor/sign-in.ts'

interface Report {
  readonly findings: Finding[]
  /** Undefined: Duo was not asked about anybody. */
  readonly people?: PersonRow[]
}

/**
 * Looks at everything that must be right before somebody can sign in, and asks Duo about each person who may sign in. Sends no push, changes nothing.
 * Resolves with the exit code: 1 when something has to be mended.
 */
export async function doctor(options: { config: string; json?: boolean | undefined }): Promise<number> {
  const report = await examine(options.config, process.env)
  const isWell = report.findings.every(({ severity }) => severity !== 'error')
  if (options.json) console.log(JSON.stringify({ ok: isWell, ...report }, null, 2))
  else {
    for (const finding of report.findings) console.log(formatFinding(finding))
    if (report.people !== undefined && report.people.length > 0) console.log(`\n${formatPeople(report.people)}`)
  }
  return isWell ? 0 : 1
}

/** All findings, without printing any. */
export async function examine(file: string, env: NodeJS.ProcessEnv): Promise<Report> {
  const loaded = await loadConfig(file, env)
  const problems = (loaded.ok ? loaded.warnings : loaded.problems).map(problem => ({
    area: 'configuration' as const,
    severity: problem.severity,
    what: formatProblem(problem),
  }))
  if (!loaded.ok) return { findings: problems }
  const { config } = loaded
  const who = await whoMaySignIn(config.authentication_backend)
  const findings: Finding[] = [
    ...(problems.length > 0
      ? problems
      : [{ area: 'configuration' as const, severity: 'ok' as const, what: `${file} can be used` }]),
    ...(await logFileFindings(config.log)),
    ...(await addressFindings(config)),
    ...who.findings,
    ...(await storageFindings(config)),
    ...(config.session.redis === undefined ? [] : [await redisFinding(config.session.redis)]),
    ...proxiesFindings(config.server),
  ]
  if (config.duo_api === undefined || config.duo_api.disable) return { findings: [...findings, withoutDuo(config)] }
  const duo = await examineDuo(config.duo_api, who, env)
  return { ...duo, findings: [...findings, ...duo.findings] }
}

async function storageFindings({ storage, session }: Config): Promise<Finding[]> {
  const { postgres, encryption_key } = storage
  const file = postgres === undefined || session.redis === undefined ? [fileFinding(storage)] : []
  if (postgres === undefined) return file
  const found = await lookAtPostgres(postgres, encryption_key)
  const shared: Finding =
    typeof found === 'string'
      ? { area: 'storage', severity: 'ok', what: found }
      : { area: 'storage', severity: 'error', what: found.message, mend: found.mend, reason: found.reason }
  return [shared, ...file]
}

function fileFinding(storage: Config['storage']): Finding {
  const as = process.getuid === undefined ? '' : ` as ${nameOfUser()}`
  const wrong = lookAtStorage(storage)
  const copy = wrong === null ? copyAt(storage) : 'ours'
  if (copy !== 'ours') return known('storage', 'warning', `store-${copy}`, storageFile(storage))
  if (wrong === null) return { area: 'storage', severity: 'ok', what: `${storageFile(storage)} can be opened${as}` }
  return { area: 'storage', severity: 'error', what: `${wrong.message}${as}`, mend: wrong.mend, reason: wrong.reason }
}

async function redisFinding(config: NonNullable<Config['session']['redis']>): Promise<Finding> {
  const found = await lookAtRedis(config)
  if (found instanceof StorageProblem)
    return { area: 'Redis', severity: 'error', what: found.message, mend: found.mend, reason: found.reason }
  if (found instanceof RedisDown) return known('Redis', 'error', found.reason, found.message)
  if (found === null)
    return {
      area: 'Redis',
      severity: 'ok',
      what: 'answers; its maxmemory-policy cannot be seen, and should be noeviction',
    }
  const { version, evictionPolicy } = found
  return evictionPolicy === 'noeviction'
    ? { area: 'Redis', severity: 'ok', what: `${version} answers, takes writes, and throws nothing away` }
    : known('Redis', 'warning', 'redis-evicts', `maxmemory-policy is ${evictionPolicy}`)
}

function nameOfUser(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.()}` // no entry in the passwd file, as in a container
  }
}

function withoutDuo({ access_control: { default_policy, rules } }: Config): Finding {
  const wanted = default_policy === 'two_factor' || rules.some(({ policy }) => policy === 'two_factor')
  return wanted
    ? known('Duo', 'error', 'no-second-factor')
    : { area: 'Duo', severity: 'ok', what: 'not configured, and no rule wants two_factor' }
}

async function examineDuo(
  config: NonNullable<Config['duo_api']>,
  who: WhoMaySignIn,
  env: NodeJS.ProcessEnv,
): Promise<Report> {
  const log = pino({ level: 'silent' })
  let connection: Connection
  try {
    connection = await connectDuo({ config, clock: Date.now, log, env })
  } catch (error) {
    return {
      findings: [{ area: 'Duo', severity: 'error', what: error instanceof Error ? error.message : String(error) }],
    }
  }
  const { client, apiHost } = connection
  try {
    const findings = [...wayFindings(config, connection), ...(await nameFindings(apiHost, connection))]
    const finding = await checkDuo(client)
    if (!finding.ok) {
      const { reason, detail } = finding.failure
      return {
        findings: [...findings, ...clockFindings(client.clockOffsetSeconds), known('Duo', 'error', reason, detail)],
      }
    }
    findings.push(
      { area: 'Duo', severity: 'ok', what: `${config.hostname} answers, and takes these keys` },
      ...clockFindings(finding.clockOffsetSeconds),
      ...(finding.simulator
        ? [
            {
              area: 'Duo' as const,
              severity: 'warning' as const,
              what: 'this is the simulator: it proves nothing about anybody',
            },
          ]
        : []),
    )
    if (who.people === undefined) return { findings }
    const people = await peopleRows({ ...who, people: who.people }, { client, config, apiHost })
    return { findings: [...findings, peopleFinding(people)], people }
  } finally {
    await client.close()
  }
}

function wayFindings(config: NonNullable<Config['duo_api']>, { proxy, ignored }: Connection): Finding[] {
  const way = proxy === undefined ? 'directly' : `through the proxy ${proxy.address} of ${proxy.setBy}`
  const trust = config.ca_file === undefined ? 'Duo’s own roots' : `the certificates in ${config.ca_file}`
  return [
    ...ignored.map(what => ({ area: 'Duo' as const, severity: 'warning' as const, what })),
    { area: 'Duo', severity: 'ok', what: `asked ${way}, trusting ${trust}` },
  ]
}

/** Through a proxy, the proxy looks the name up. */
async function nameFindings(apiHost: string, { proxy }: Connection): Promise<Finding[]> {
  if (proxy !== undefined) return []
  const found = await lookup(apiHost, { all: true }).catch(() => [])
  return bentNameFindings(
    apiHost,
    found.map(({ address }) => address),
  )
}

/** A name of Duo's that leads to this machine is bent: by a hosts file, or a name server. */
export function bentNameFindings(apiHost: string, addresses: readonly string[]): Finding[] {
  if (!/\.duo(?:security|federal)\.com$/.test(apiHost)) return []
  const local = addresses.find(address => ['loopback', 'unspecified'].includes(ipaddr.process(address).range()))
  return local === undefined ? [] : [known('Duo', 'error', 'duo-local', `${apiHost} is ${local} here`)]
}

function clockFindings(offsetSeconds: number | undefined): Finding[] {
  if (offsetSeconds === undefined) return []
  const seconds = Math.abs(offsetSeconds)
  const how = `${seconds} s ${offsetSeconds < 0 ? 'behind' : 'ahead of'} Duo’s`
  return seconds >= CORRECTED_FROM_SECONDS
    ? [known('Duo', 'warning', 'clock-off', `it is ${how}`)]
    : [{ area: 'Duo', severity: 'ok', what: seconds === 0 ? 'the clock agrees with Duo’s' : `the clock is ${how}` }]
}

async function peopleRows(
  { people, disabled }: { people: NonNullable<WhoMaySignIn['people']>; disabled: WhoMaySignIn['disabled'] },
  parts: Parameters<typeof readiness>[1],
): Promise<PersonRow[]> {
  return [...(await readiness(people, parts)).map(rowOf), ...disabled.map(disabledRow)]
}
