import type { FastifyRequest } from 'fastify'

/** Whether the client was gone before it had sent its whole request: what fails then is nobody's bug, anybody can cause it, and no answer arrives. */
export function leftEarly({ raw }: FastifyRequest): boolean {
  return raw.destroyed && !raw.complete
}
