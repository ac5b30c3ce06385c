import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { projectRoot } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'
import { at, postern } from './redis-faults.ts'

const page = readFileSync(join(projectRoot, 'docs/redis.md'), 'utf8')

describe('the user that docs/redis.md describes', () => {
  it('is allowed all that Postern does, and reaches no other program’s keys', async () => {
    const [line = ''] = /^user postern on >the-password .*$/m.exec(page) ?? []
    const { port, ask } = await startRedis({ cleanup: onTestFinished, lines: [line] })
    const door = await postern(`${at(port)}, username: postern, password: the-password`, onTestFinished)
    const cookie = await door.alice()
    for (let tries = 0; tries < 5; tries++) await door.signInWith('wrong')
    expect((await door.signIn()).status).toBe(401) // paused
    expect((await door.signOut(cookie)).status).toBe(200)
    expect((await door.gate('one', cookie)).status).toBe(302)
    expect(door.lines().filter(({ level, msg }) => level === 'error' || /Redis/.test(msg))).toEqual([])
    expect(await ask('ACL', 'LOG')).toBe('')
    const asPostern = ['--user', 'postern', '--pass', 'the-password', '--no-auth-warning']
    for (const command of [
      ['SET', 'other:a', '1'],
      ['GET', 'other:a'],
      ['FLUSHALL'],
      ['KEYS', '*'],
      ['CONFIG', 'GET', '*'],
    ])
      expect(await ask(...asPostern, ...command)).toMatch(/^NOPERM/)
  })
})
