import type { FastifyBaseLogger } from 'fastify'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import { problems } from '../problems/problems.ts'
import type { SessionStore } from './store.ts'

interface Parts {
  readonly store: Pick<SessionStore, 'noteSecret'>
  readonly fingerprint: string
  readonly now: Clock
  readonly log: FastifyBaseLogger
}

export interface SecretWatch {
  /** Done once a minute. Never rejects. */
  look(): Promise<void>
  close(): void
}

/**
 * Tells when processes with different secrets use one store, where none knows the sessions of the other: each notes its own secret's fingerprint,
 * and one that moves while this process runs is of another process. One that stands still is the secret from before.
 */
export async function watchSecrets({ store, fingerprint, now, log }: Parts): Promise<SecretWatch> {
  let before: ReadonlyMap<string, Milliseconds> | undefined
  let told = false
  async function look(): Promise<void> {
    try {
      const others = await store.noteSecret(fingerprint, now())
      const moved = [...others].some(([other, seenAt]) => before !== undefined && seenAt !== before.get(other))
      before = others
      if (moved && !told)
        log.error(
          { reason: 'session-secrets', mend: problems['session-secrets'].mend },
          problems['session-secrets'].title,
        )
      told = moved
    } catch {
      // A store that is down is told by whoever asks it for a session.
    }
  }
  const timer = setInterval(() => void look(), MINUTE).unref()
  await look()
  return { look, close: () => clearInterval(timer) }
}
