import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const src = join(import.meta.dirname, '../src')

// Data goes down and comes back up the same way: a room may use those on the floors below, never one above it or beside it.
const floors = [
  ['main.ts'],
  ['commands'],
  ['server.ts', 'simulator'],
  ['gate', 'portal', 'api'],
  ['login'],
  ['session', 'users', 'duo', 'access'],
  ['storage', 'telemetry', 'http'],
  ['config'],
  ['problems'],
  ['clock.ts'],
]

const mayNotImport: Record<string, Record<string, string>> = {
  access: {
    fastify: 'a decision must be made without a server',
    'node:': 'and without I/O, clock or random bytes',
    storage: 'nor a store',
    http: 'nor a request',
    telemetry: 'nor a log',
  },
  'duo/push.ts': {
    'node:': 'time and random bytes come in as arguments',
    undici: 'whoever runs the state machine carries its requests',
    storage: 'whoever runs it keeps its record',
    http: 'nor a request',
    telemetry: 'nor a log',
  },
  'config/schema.ts': { 'node:fs': 'files are read by load.ts', fastify: 'the schema knows no server' },
}

interface Import {
  from: string
  to: string
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8')
  return [
    ...text.matchAll(/^(?:import|export)\s(?:[^'"()=]*?\sfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm),
  ].map(match => {
    const specifier = match[1] ?? match[2] ?? ''
    return { from: file, to: specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier }
  })
}

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile() && /\.tsx?$/.test(entry.name))
  .map(entry => relative(src, join(entry.parentPath, entry.name)))
const imports = files.flatMap(importsOf)
const roomOf = (path: string) => path.split('/')[0] ?? ''
const floorOf = (path: string) => floors.findIndex(rooms => rooms.includes(roomOf(path)))
const inside = imports.filter(({ to }) => floorOf(to) !== -1)

describe('the rooms of the house', () => {
  it('has a floor for every file', () => {
    expect(files.filter(file => floorOf(file) === -1)).toEqual([])
    expect(files.length).toBeGreaterThan(20)
  })

  it('lets a room use only what is below it', () => {
    const upward = inside.filter(({ from, to }) => roomOf(from) !== roomOf(to) && floorOf(to) <= floorOf(from))
    expect(upward).toEqual([])
  })

  it('lets only commands import the simulator: a Duo that approves what it likes must not be reachable from the server', () => {
    expect(
      inside.filter(({ from, to }) => roomOf(to) === 'simulator' && !['commands', 'simulator'].includes(roomOf(from))),
    ).toEqual([])
  })

  it.each(Object.entries(mayNotImport))('keeps %s pure', (place, bans) => {
    const broken = imports
      .filter(({ from }) => from === place || from.startsWith(`${place}/`))
      .flatMap(({ from, to }) =>
        Object.keys(bans)
          .filter(ban => to.startsWith(ban))
          .map(ban => `${from} imports ${to}: ${bans[ban]}`),
      )
    expect(broken).toEqual([])
  })
})
