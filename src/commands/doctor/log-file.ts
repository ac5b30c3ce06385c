import { access, constants, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../../config/schema.ts'
import type { Finding } from './finding.ts'

const because: Readonly<Record<string, string>> = {
  ENOENT: 'its folder is missing',
  ENOTDIR: 'its folder is missing',
  EACCES: 'this user may not write to it',
  EROFS: 'its file system is read-only',
}

/** Whether the log can be appended to, or its file made. Makes none. */
export async function logFileFindings({ file_path: path }: Config['log']): Promise<Finding[]> {
  if (path === undefined) return []
  try {
    const found = await stat(path).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    if (found?.isDirectory() === true) throw new Error('it is a folder')
    await (found === undefined ? access(dirname(path), constants.W_OK | constants.X_OK) : access(path, constants.W_OK))
    return [{ area: 'log', severity: 'ok', what: `${path} can be written` }]
  } catch (error) {
    const code = codeOf(error)
    const why = because[code] ?? (error instanceof Error ? error.message : code)
    const mend = 'Postern does not start so. Correct log.file_path, or let the user that Postern runs as write there.'
    return [{ area: 'log', severity: 'error', what: `log.file_path ${path} cannot be opened: ${why}`, mend }]
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')
