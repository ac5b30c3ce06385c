import { withoutForeignKeys } from './authelia-keys.ts'
import { checkAccessRules } from './checks/access-rules.ts'
import { checkAuthzEndpoints } from './checks/authz-endpoints.ts'
import { checkCookieDomains } from './checks/cookie-domains.ts'
import { checkDuoGuards } from './checks/duo-guards.ts'
import { checkDuoKeys } from './checks/duo-keys.ts'
import { checkPeople } from './checks/people.ts'
import { checkRedis } from './checks/redis.ts'
import { createReport } from './checks/report.ts'
import { checkSecrets, isPlaceholder } from './checks/secrets.ts'
import { checkStorage } from './checks/storage.ts'
import { type ParsedDocument, parseDocument } from './document.ts'
import { withEnvironment } from './environment.ts'
import { inOrder, type Problem } from './problem.ts'
import { readBounded, UnreadableFile } from './read.ts'
import { type Config, configSchema, hiddenKeys } from './schema.ts'
import { schemaProblems, valueAt } from './schema-problems.ts'

const SIZE_LIMIT_BYTES = 1024 * 1024

export type Loaded =
  | {
      readonly ok: true
      readonly config: Config
      readonly warnings: Problem[]
      readonly locate: ParsedDocument['locate']
    }
  /** Errors and warnings, in the order of the file; one error at least. */
  | { readonly ok: false; readonly problems: Problem[] }

/**
 * The configuration of this file and environment, or everything that is wrong with it at once. Never throws for what a file or variable may hold;
 * no message carries a secret.
 */
export async function loadConfig(file: string, env: NodeJS.ProcessEnv): Promise<Loaded> {
  let bytes: Buffer
  try {
    bytes = await readBounded(file, SIZE_LIMIT_BYTES)
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error
    return {
      ok: false,
      problems: [
        {
          severity: 'error',
          file,
          line: 0,
          column: 0,
          key: '',
          message: `The configuration file ${error.message}. Name it with --config, or in POSTERN_CONFIG.`,
        },
      ],
    }
  }
  const parsed = parseDocument(bytes, file)
  if (!parsed.ok) return parsed
  const own = withoutForeignKeys(parsed)
  const overlaid = await withEnvironment({ value: own.value, locate: parsed.locate }, env, isPlaceholder)
  const { document } = overlaid
  const report = createReport(document)
  checkCookieDomains(report)
  checkAccessRules(report)
  checkAuthzEndpoints(report)
  checkDuoKeys(report, isPlaceholder)
  checkDuoGuards(report)
  checkPeople(report)
  checkRedis(report)
  checkStorage(report)
  checkSecrets(report)
  const checked = configSchema.safeParse(document.value)
  // A variable that could not be used is told as such, not as a missing key too.
  const unusable = new Set(overlaid.problems.map(({ key }) => key))
  const problems = inOrder([
    // What has no value in the file may have one of the environment's.
    ...own.problems.filter(({ key }) => valueAt(document.value, key.split('.')) === undefined),
    ...overlaid.problems,
    ...report.problems,
    ...(checked.success ? [] : schemaProblems(checked.error, configSchema, document, hiddenKeys)).filter(
      ({ key }) => !(unusable.has(key) && valueAt(document.value, key.split('.')) === undefined),
    ),
  ])
  return checked.success && problems.every(({ severity }) => severity === 'warning')
    ? { ok: true, config: checked.data, warnings: problems, locate: document.locate }
    : { ok: false, problems }
}
