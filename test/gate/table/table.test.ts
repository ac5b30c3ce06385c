import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { endsWithSuite } from '../../support/process.ts'
import { type Answer, exchange } from '../house.ts'
import { kindOf, type Row, requestOf } from './asking.ts'
import { type RunningTable, runningTable } from './running.ts'

// README.md beside this file says what the fields mean.
const words = ['allowed', 'login', 'forbidden', 'refused', 'login-or-refused', 'allowed-or-refused'] as const
type Word = (typeof words)[number]
const caseSchema = z.strictObject({
  title: z.string().optional(),
  dialect: z.union([z.string(), z.array(z.string())]),
  method: z.string(),
  url: z.string(),
  session: z.string().optional(),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string()), z.null()])).optional(),
  path: z.string().optional(),
  by: z.string().optional(),
  answer: z.union([z.enum(words), z.number()]),
  status: z.number().optional(),
  rd: z.string().optional(),
  location: z.string().optional(),
  response_headers: z.record(z.string(), z.string().nullable()).optional(),
  body: z.string().optional(),
})
const tableSchema = z.strictObject({
  name: z.string(),
  config: z.record(z.string(), z.unknown()).optional(),
  cases: z.array(caseSchema),
})
const matrixSchema = z.strictObject({
  name: z.string(),
  methods: z.array(z.string()),
  accepts: z.strictObject({ page: z.array(z.string()), other: z.array(z.string()) }),
  targets: z.array(z.strictObject({ url: z.string(), answers: z.record(z.string(), z.enum(words)) })),
})
type Case = z.infer<typeof caseSchema>
type Expected = Pick<Case, 'answer' | 'status' | 'rd' | 'location' | 'response_headers' | 'body'>

const read = (file: string): unknown => JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8'))
const files = readdirSync(import.meta.dirname).filter(
  file => file.endsWith('.json') && file !== 'setup.json' && file !== 'matrix.json',
)

let rows = 0
let cases = 0
for (const file of files) {
  const table = tableSchema.parse(read(file))
  cases += table.cases.length
  const spread = table.cases.flatMap(one =>
    [one.dialect].flat().map(dialect => [sentence({ ...one, dialect }), { ...one, dialect }] as const),
  )
  rows += spread.length
  describe(`${file}: ${table.name}`, () => {
    const running = runs(table.config)
    it.each(spread)('%s', async (_sentence, row) => {
      const at = running()
      expectAnswer(await exchange(at, requestOf(row, at.cookies)), row, row)
    })
  })
}

const matrix = matrixSchema.parse(read('matrix.json'))
describe(`matrix.json: ${matrix.name}`, () => {
  const running = runs(undefined)
  const kinds = ['forward-auth', 'auth-request', 'ext-authz', 'legacy', 'legacy-forwarded']
  const questions = kinds.flatMap(dialect =>
    matrix.methods
      // A CONNECT that reaches Node itself is a tunnel, which is closed.
      .filter(method => !(dialect === 'ext-authz' && method === 'CONNECT'))
      .flatMap(method => matrix.targets.map(target => [dialect, method, target.url, target.answers] as const)),
  )
  it.each(questions)('%s: %s %s', async (dialect, method, url, answers) => {
    const at = running()
    for (const [who, answer] of Object.entries(answers))
      for (const accept of Object.values(matrix.accepts).flat()) {
        const session = who === 'nobody' ? undefined : who
        const row = { dialect, method, url, session, headers: { Accept: accept } }
        expectAnswer(await exchange(at, requestOf(row, at.cookies)), row, { answer })
      }
  })
})

it('has all its rows', () => {
  expect(cases).toBeGreaterThan(800)
  expect(rows).toBeGreaterThan(2000)
})

function runs(over: Record<string, unknown> | undefined): () => RunningTable {
  const endsWith = endsWithSuite()
  let at: RunningTable | undefined
  beforeAll(async () => {
    at = await runningTable(endsWith, over)
  })
  return () => {
    if (at === undefined) throw new Error('not running')
    return at
  }
}

const identity = ['remote-user', 'remote-groups', 'remote-name', 'remote-email']
const inUtf8 = (text: string) => Buffer.from(text, 'latin1').toString('utf8')

function expectAnswer(answer: Answer, row: Row, wanted: Expected): void {
  const what = `${sentence(row)}\n${inUtf8(answer.raw)}`
  const { status, headers } = answer
  // Of every answer, whatever the row says.
  expect(headers, what).not.toHaveProperty('set-cookie')
  for (const header of identity) expect(header in headers, `${header} in ${what}`).toBe(status === 200)

  const said: Word | number = typeof wanted.answer === 'number' ? wanted.answer : wordOf(answer, row, wanted.answer)
  if (typeof said === 'number') expect(status, what).toBe(said)
  if (said === 'login') {
    const redirect = loginOf(row)
    expect(status, what).toBe(wanted.status ?? redirect.status)
    expect('location' in headers, what).toBe(redirect.location)
    if (redirect.location) expectWay(headers.location ?? '', row, wanted.rd ?? normal(row.url), what)
  } else if (wanted.location === undefined) expect(headers, what).not.toHaveProperty('location')
  else expect(headers.location, what).toBe(wanted.location)
  // What a parser below the gate refuses has not these.
  if (status !== 400)
    expect(headers, what).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  for (const [name, value] of Object.entries(wanted.response_headers ?? {}))
    expect(name in headers ? inUtf8(headers[name] ?? '') : null, `${name} in ${what}`).toBe(value)
  if (wanted.body !== undefined) expect(answer.body, what).toBe(wanted.body)
}

/** The word that the answer may be, and is; its status where none fits, so that the comparison says what was wanted. */
function wordOf({ status }: Answer, row: Row, wanted: Word): Word | number {
  const refused = kindOf(row).startsWith('legacy') ? 401 : 400
  switch (wanted) {
    case 'allowed':
      return 200
    case 'forbidden':
      return 403
    case 'refused':
      return refused
    case 'login':
      return 'login'
    case 'login-or-refused':
      return status === refused ? refused : 'login'
    case 'allowed-or-refused':
      return status === refused ? refused : 200
  }
}

function loginOf(row: Row): { status: number; location: boolean } {
  const kind = kindOf(row)
  const named = /[?&]rd=/.test(row.path ?? '') || row.headers?.['X-Authelia-URL'] !== undefined
  if (kind === 'auth-request') return { status: 401, location: true }
  if (kind.startsWith('legacy') && !named) return { status: 401, location: false }
  const accept = row.headers !== undefined && 'Accept' in row.headers ? row.headers.Accept : 'text/html'
  const types = typeof accept === 'string' ? accept.split(',').map(one => one.split(';')[0]?.trim()) : []
  const page = types.includes('text/html') || types[0] === '*/*'
  if (!page) return { status: 401, location: true }
  return { status: ['GET', 'HEAD', 'OPTIONS'].includes(row.method) ? 302 : 303, location: true }
}

const portals: Record<string, string> = {
  'example.com': 'https://auth.example.com/',
  'example.org': 'https://login.example.org:8443/',
  'app.localhost': 'http://auth.app.localhost:8080/',
}

function expectWay(location: string, { method }: Row, rd: string, what: string): void {
  const way = new URL(location)
  const host = new URL(rd.replace(/^ws/, 'http')).hostname
  const domain = Object.keys(portals).find(one => host === one || host.endsWith(`.${one}`)) ?? ''
  expect(location.split('?')[0], what).toBe(portals[domain])
  expect([...way.searchParams], what).toEqual([
    ['rd', rd],
    ['rm', method],
  ])
}

/** As it is said in `rd`: scheme and host in lower case, `/` for no path. */
function normal(url: string): string {
  return url.replace(/^[^:]+:\/\/[^/?#]*/, place => place.toLowerCase()).replace(/^(\w+:\/\/[^/?]+)(\?|$)/, '$1/$2')
}

function sentence({ title, dialect, method, url, session, headers, path, by }: Row): string {
  const short = url.length > 120 ? `${url.slice(0, 120)}…` : url
  const more = [
    by === undefined ? '' : `asked by ${by}`,
    path ?? '',
    headers === undefined ? '' : JSON.stringify(headers).slice(0, 200),
  ].filter(part => part !== '')
  return `${title === undefined ? '' : `${title}: `}${dialect}, ${session ?? 'nobody'}: ${method} ${JSON.stringify(short)}${more.length === 0 ? '' : ` (${more.join(', ')})`}`
}
