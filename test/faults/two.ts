import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Setup } from '../support/postern.ts'
import { freePort } from '../support/process.ts'

/** The same configuration for one more process: the same files, another port. */
export async function beside(setup: Setup): Promise<Setup> {
  const port = await freePort()
  const configFile = join(setup.folder, `configuration-${port}.yml`)
  const text = readFileSync(setup.configFile, 'utf8')
  writeFileSync(configFile, text.replace(`tcp://127.0.0.1:${setup.port}/`, `tcp://127.0.0.1:${port}/`))
  return { ...setup, port, configFile }
}
