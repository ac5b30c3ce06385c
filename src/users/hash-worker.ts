import { createHmac, timingSafeEqual } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { hashSync } from 'bcryptjs'
import { shaCrypt } from './sha-crypt.ts'
import type { Job } from './verify.ts'

// The algorithms that would hold up the event loop: they exist in JavaScript only, or as a sequence of small digests.

function derive({ hash, password }: Job): string {
  if (hash.algorithm === 'sha-crypt') return shaCrypt(hash.digest, password, hash.salt, hash.rounds)
  // passlib's bcrypt-sha256, version 2: https://passlib.readthedocs.io/en/stable/lib/passlib.hash.bcrypt_sha256.html
  const input = hash.variant === 'sha256' ? createHmac('sha256', hash.salt).update(password).digest('base64') : password
  return hashSync(input, `$2b$${String(hash.logRounds).padStart(2, '0')}$${hash.salt}`).slice(-31)
}

parentPort?.on('message', (job: Job) => {
  const derived = Buffer.from(derive(job))
  const expected = Buffer.from(job.hash.key)
  parentPort?.postMessage(derived.length === expected.length && timingSafeEqual(derived, expected))
})
