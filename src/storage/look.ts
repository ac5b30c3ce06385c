import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from '../config/schema.ts'
import { refuseForeign, storageFile } from './sqlite-file.ts'
import { StorageProblem } from './storage-problem.ts'

/** What would keep this user from opening the storage, found without making or changing anything; null when nothing would. */
export function lookAtStorage(config: Config['storage']): StorageProblem | null {
  const path = storageFile(config)
  try {
    if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory())
      return new StorageProblem('storage-folder', dirname(path))
    // SQLite writes files of its own beside it.
    accessSync(dirname(path), constants.W_OK)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return null
    if (!stat.isFile()) return new StorageProblem('storage-denied', `${path} is not a file`)
    accessSync(path, constants.R_OK | constants.W_OK)
    refuseForeign(path)
    return null
  } catch (error) {
    if (error instanceof StorageProblem) return error
    return new StorageProblem('storage-denied', error instanceof Error ? error.message : path, error)
  }
}
