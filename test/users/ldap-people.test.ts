import { describe, expect, it } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { ldapPeople } from '../../src/users/ldap-people.ts'
import { DirectoryDown, type Person } from '../../src/users/users.ts'
import { movableClock, readableLog } from './parts.ts'

const personOf = (username: string, ...groups: string[]): Person => ({
  username,
  displayName: username,
  emails: [`${username}@example.com`],
  groups,
  credential: 'of the first password',
})

/** A directory that the test answers for. */
function opened(refreshInterval: number | 'always' | 'disable' = 5 * MINUTE) {
  const clock = movableClock()
  const readable = readableLog()
  const state = { asked: 0, isDown: false, hang: undefined as Promise<void> | undefined }
  const entries = new Map([['john', personOf('john', 'dev')]])
  const people = ldapPeople({
    directory: {
      async person(username) {
        state.asked++
        await state.hang
        if (state.isDown) throw new Error('connect ECONNREFUSED 127.0.0.1:389')
        return entries.get(username)
      },
    },
    refreshInterval,
    grace: HOUR,
    clock: clock.read,
    log: readable.log,
  })
  const errors = () => readable.lines.filter(({ level }) => level === 50).map(({ msg }) => msg)
  return { people, clock, state, entries, errors, texts: readable.texts }
}

describe(ldapPeople, () => {
  it('asks once, and answers at once within the refresh interval; after it, what has changed counts', async () => {
    const { people, clock, state, entries } = opened()
    expect((await people.find('john'))?.groups).toEqual(['dev'])
    entries.set('john', personOf('john', 'admins'))
    clock.move(5 * MINUTE - 1)
    const hit = people.find('john')
    expect(hit).not.toBeInstanceOf(Promise)
    expect(state.asked).toBe(1)
    clock.move(1)
    expect((await people.find('john'))?.groups).toEqual(['admins'])
    entries.delete('john')
    clock.move(5 * MINUTE)
    expect(await people.find('john')).toBeUndefined()
    expect(people.find('john')).toBeUndefined()
  })

  it('asks for each request with always, and never again with disable until somebody signs in', async () => {
    const always = opened('always')
    await always.people.find('john')
    await always.people.find('john')
    expect(always.state.asked).toBe(2)
    const never = opened('disable')
    await never.people.find('john')
    never.clock.move(1000 * HOUR)
    expect(never.people.find('john')).toMatchObject({ groups: ['dev'] })
    never.people.learn(personOf('john', 'admins'))
    expect(never.people.find('john')).toMatchObject({ groups: ['admins'] })
  })

  it('has one question on its way for a person, however many wait for it', async () => {
    const { people, state } = opened()
    const answered = Promise.withResolvers<void>()
    state.hang = answered.promise
    const waiting = Array.from({ length: 100 }, () => people.find('john'))
    answered.resolve()
    expect(new Set(await Promise.all(waiting)).size).toBe(1)
    expect(state.asked).toBe(1)
  })

  it('while it is down, who is known stays in for the grace and no longer, and nobody else is known', async () => {
    const { people, clock, state } = opened()
    await people.find('john')
    state.isDown = true
    clock.move(10 * MINUTE)
    expect((await people.find('john'))?.username).toBe('john')
    expect(people.fault).toMatch(/does not answer: connect ECONNREFUSED/)
    expect(() => people.find('jane')).not.toThrow()
    await expect(people.find('jane')).rejects.toThrow(DirectoryDown)
    clock.move(50 * MINUTE - 1)
    expect((await people.find('john'))?.username).toBe('john')
    clock.move(1)
    await expect(people.find('john')).rejects.toThrow(DirectoryDown)
  })

  it('who was gone before it went down stays gone', async () => {
    const { people, clock, state, entries } = opened()
    entries.delete('john')
    await people.find('john')
    state.isDown = true
    clock.move(10 * MINUTE)
    expect(await people.find('john')).toBeUndefined()
  })

  it('asks a directory that is down once in two seconds, whoever wants to know, and nobody who is known waits for it', async () => {
    const { people, clock, state } = opened()
    await people.find('john')
    state.isDown = true
    clock.move(10 * MINUTE)
    await people.find('john')
    expect(state.asked).toBe(2)
    const hung = Promise.withResolvers<void>()
    state.hang = hung.promise
    clock.move(2 * SECOND)
    for (let i = 0; i < 50; i++) expect(people.find('john')).not.toBeInstanceOf(Promise)
    for (let i = 0; i < 50; i++) await expect(people.find(`nobody ${i}`)).rejects.toThrow(DirectoryDown)
    expect(state.asked).toBe(3)
    hung.resolve()
  })

  it('says once that it is down, and once that it answers again', async () => {
    const { people, clock, state, errors, texts } = opened()
    await people.find('john')
    state.isDown = true
    for (let i = 0; i < 20; i++) {
      clock.move(10 * MINUTE)
      await Promise.resolve(people.find('john')).catch(() => {})
      await Promise.resolve(people.find('jane')).catch(() => {})
    }
    expect(errors()).toEqual([expect.stringMatching(/^The directory does not answer: connect ECONNREFUSED/)])
    state.isDown = false
    clock.move(10 * MINUTE)
    await people.find('john')
    expect(texts().filter(text => text === 'the directory answers again')).toHaveLength(1)
    expect(people.fault).toBeUndefined()
  })

  it('holds no more than ten thousand people', async () => {
    const { people, entries } = opened()
    for (let i = 0; i < 10_050; i++) people.learn(personOf(`user${i}`))
    expect(people.everybody()).toHaveLength(10_000)
    expect(entries.size).toBe(1)
  })

  it('lists those whom it knows, the same list until that changes', async () => {
    const { people, entries, clock } = opened()
    await people.find('john')
    const before = people.everybody()
    expect(before).toEqual([{ username: 'john', email: 'john@example.com' }])
    clock.move(10 * MINUTE)
    await people.find('john')
    expect(people.everybody()).toBe(before)
    entries.delete('john')
    clock.move(10 * MINUTE)
    await people.find('john')
    expect(people.everybody()).toEqual([])
  })

  it('a clock that was set back by a day makes nobody stay longer than the grace', async () => {
    const { people, clock, state } = opened()
    await people.find('john')
    state.isDown = true
    clock.move(-24 * HOUR)
    await expect(people.find('john')).rejects.toThrow(DirectoryDown)
  })
})
