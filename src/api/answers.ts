import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import type { Started } from '../session/session.ts'

// Authelia's words: its front end and other programs show or match them.
export const WRONG_CREDENTIALS = 'Authentication failed. Check your credentials.'
export const RETRY_LATER = 'Authentication failed, please retry later.'
export const OPERATION_FAILED = 'Operation failed.'

/** Where a program wants to go, and what Authelia's front end may send beside it for its OpenID Connect flows, which Postern has not. */
export const targetFields = {
  targetURL: z.string().optional(),
  workflow: z.string().optional(),
  workflowID: z.string().optional(),
  flow: z.string().optional(),
  flowID: z.string().optional(),
  subflow: z.string().optional(),
  userCode: z.string().optional(),
}

export function ok(data?: object) {
  return data === undefined ? { status: 'OK' } : { status: 'OK', data }
}

export function ko(reply: FastifyReply, status: number, message: string) {
  return reply.code(status).send({ status: 'KO', message })
}

export function setCookie(reply: FastifyReply, { cookie }: Started): void {
  reply.setCookie(cookie.name, cookie.value, cookie.options)
}
