import { problems, type Reason } from '../problems/problems.ts'

type StorageReason = Extract<Reason, `storage-${string}` | `redis-${string}`>

/** What an administrator must mend before the file, or Redis, can be used. Nothing was changed in it. */
export class StorageProblem extends Error {
  readonly reason: Reason
  readonly mend: string
  constructor(reason: StorageReason, detail: string, cause?: unknown) {
    super(`${problems[reason].title}: ${detail}`, { cause })
    this.name = 'StorageProblem'
    this.reason = reason
    this.mend = problems[reason].mend
  }
}
