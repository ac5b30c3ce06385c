import { expect } from 'vitest'
import { type Answer, type House, opensNothing } from './house.ts'

/** Before each test: a refusal of one kind is logged once a minute, and what an earlier test caused proves nothing. */
export function inAnotherMinute(at: House) {
  at.now += 61_000
  at.lines.length = 0
}

/** Refused, without a way on. */
export function expectRefused(answer: Answer, status = 400) {
  expect(answer.status).toBe(status)
  expect(answer.headers).not.toHaveProperty('location')
  expect(opensNothing(answer)).toBe(true)
}

/** The one event of this reason that holds all these words. */
export function expectLogged(of: House, reason: string, ...words: string[]) {
  const details = of.lines.filter(line => line.reason === reason).map(line => String(line.detail))
  expect(details.filter(detail => words.every(word => detail.includes(word)))).not.toEqual([])
}

export const nginx = { 'X-Original-URL': 'https://public.example.com/', 'X-Original-Method': 'GET' }
export const traefik = {
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'public.example.com',
  'X-Forwarded-URI': '/',
  'X-Forwarded-Method': 'GET',
}
export const of = (...lists: (Record<string, string> | [string, string][])[]) =>
  lists.flatMap(list => (Array.isArray(list) ? list : Object.entries(list)))
