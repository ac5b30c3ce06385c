import { request } from 'undici'
import { expect } from 'vitest'
import type { InProcess } from '../support/in-process.ts'
import { password } from '../support/postern.ts'

/** A client that keeps no cookies unless it is told to. `from` is what the proxy in front says of its address. */
export async function post(
  { url }: InProcess,
  path: string,
  body: object | undefined,
  { from = '203.0.113.7', cookie }: { from?: string; cookie?: string } = {},
) {
  const answer = await request(`${url}${path}`, {
    method: 'POST',
    headers: {
      host: 'auth.postern.localhost',
      'x-forwarded-for': from,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(cookie === undefined ? {} : { cookie }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: answer.statusCode, headers: answer.headers, json: await answer.body.json() }
}
export const signIn = (postern: InProcess, username: string, typed: string, from?: string) =>
  post(postern, '/api/firstfactor', { username, password: typed }, from === undefined ? {} : { from })

export async function signedIn(postern: InProcess, username = 'alice', from?: string): Promise<string> {
  const { headers, status } = await signIn(postern, username, password, from)
  expect(status).toBe(200)
  return String(headers['set-cookie']).split(';')[0] ?? ''
}
