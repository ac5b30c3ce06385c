import type { Kysely } from 'kysely'
import { pino } from 'pino'
import { isPlaceholder } from '../config/checks/secrets.ts'
import { secretFromFile } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import { beginWithKey, changeKey } from '../storage/encryption-key.ts'
import { bringUpToDate } from '../storage/migrate.ts'
import { openPlaces } from '../storage/places.ts'
import { StorageProblem } from '../storage/storage-problem.ts'
import type { Tables } from '../storage/tables.ts'
import { askSecret, Refused } from './ask.ts'
import { loadForStores, refused } from './stores.ts'

const BYTES_AT_MOST = 1024

/**
 * Encrypts what is secret in the records with another key: all of it or, when anything fails, nothing. The configuration still has the former
 * one. With `keyIsLost` it has the new one, and what only the former opened is deleted. Resolves with the exit code: 1 when nothing was changed, 130 after Ctrl-C.
 */
export async function changeEncryptionKey(options: {
  config: string
  newKeyFile?: string | undefined
  keyIsLost?: boolean | undefined
}): Promise<number> {
  const config = await loadForStores(options.config)
  if (config === null) return 1
  try {
    if (options.keyIsLost) {
      if (options.newKeyFile !== undefined)
        throw new Refused('With --key-is-lost the key is the one of the configuration.')
      const { deleted } = await inRecords(config.storage, db => beginWithKey(db, config.storage.encryption_key))
      console.log(
        `The records begin with the key of the configuration. Remembered browsers that were forgotten: ${deleted}.`,
      )
      return 0
    }
    const next = requireStrong(await newKey(options.newKeyFile), config)
    const { encrypted, deleted } = await inRecords(config.storage, db =>
      changeKey(db, { former: config.storage.encryption_key, next }, 'the records'),
    )
    console.log(
      `Encrypted anew: ${encrypted}.${deleted === 0 ? '' : ` Of a key before that one, so of no use, and deleted: ${deleted}.`}`,
    )
    console.log(
      'Now put the new key in the place of storage.encryption_key, and restart every Postern: with the former key none starts.',
    )
    return 0
  } catch (error) {
    if (error instanceof Refused) {
      if (error.message !== '') refused(error.message)
      return error.code
    }
    if (!(error instanceof StorageProblem)) throw error
    return refused(`${error.message}. ${error.mend}`)
  }
}

async function newKey(file: string | undefined): Promise<string> {
  if (file === undefined) return askSecret({ noun: 'new key', bytesAtMost: BYTES_AT_MOST })
  const read = await secretFromFile(file)
  if (typeof read.fault === 'string') throw new Refused(`The file ${file} ${read.fault}.`)
  return read.text
}

/** As the configuration will want it. @throws {Refused} */
function requireStrong(key: string, { storage, session }: Config): string {
  const make = 'Make a random one: openssl rand -hex 32.'
  if (key.length < 20) throw new Refused(`The new key has fewer than 20 characters. ${make}`)
  if (key !== key.trim() || /\p{Cc}/u.test(key))
    throw new Refused(`The new key has spaces around it, or control characters. ${make}`)
  if (new Set(key).size < 6 || isPlaceholder(key)) throw new Refused(`The new key can be guessed. ${make}`)
  if (key === storage.encryption_key) throw new Refused(`The new key is the one that is configured. ${make}`)
  if (key === session.secret)
    throw new Refused(`The new key is the session.secret. Each needs a value of its own. ${make}`)
  return key
}

/** Whichever key they are of. @throws {StorageProblem} */
async function inRecords<T>(storage: Config['storage'], work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
  const log = pino({ level: 'silent' })
  const [place] = await openPlaces(storage, { log, machine: false, make: true })
  if (place?.migrated == null) throw new Error('a configuration without a place for records')
  try {
    await bringUpToDate(place.migrated)
    return await work(place.migrated.db)
  } catch (error) {
    throw place.problemOf(error)
  } finally {
    await place.close()
  }
}
