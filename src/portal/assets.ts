import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Config } from '../config/schema.ts'
import { themes } from './look/colour.ts'
import { type Favicon, faviconFile, favicons } from './look/icons.tsx'
import { stylesheet } from './look/stylesheet.ts'

export interface Asset {
  /** With the hash of its content, so that it can be kept for a year: `postern-1a2b3c4d5e.css`. */
  readonly name: string
  readonly type: string
  readonly plain: Buffer
  readonly gzip: Buffer
  readonly brotli: Buffer
}

export interface Assets {
  readonly style: Asset
  readonly script: Asset
  readonly icons: Readonly<Record<Favicon, Asset>>
  /** Undefined for every name but those above: no path ever reaches the disk. */
  find(name: string): Asset | undefined
}

function asset(stem: string, extension: string, type: string, text: string): Asset {
  const plain = Buffer.from(text)
  const hash = createHash('sha256').update(plain).digest('base64url').replaceAll(/[-_]/g, '').slice(0, 12)
  return {
    name: `${stem}-${hash}.${extension}`,
    type,
    plain,
    gzip: gzipSync(plain, { level: 9 }),
    brotli: brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } }),
  }
}

function browserScript(): string {
  // Built, it stands beside this file as a module; run from the sources, its types are taken off here.
  const built = import.meta.filename.endsWith('.js')
  const text = readFileSync(new URL(`./browser/portal.${built ? 'js' : 'ts'}`, import.meta.url), 'utf8')
  return built ? text.replace(/^\/\/# sourceMappingURL=.*$/m, '') : stripTypeScriptTypes(text)
}

/** All files that pages refer to, made and compressed once. The same configuration gives the same names in every process. */
export function buildAssets(config: Pick<Config, 'theme' | 'portal'>): Assets {
  const style = asset(
    'postern',
    'css',
    'text/css; charset=utf-8',
    stylesheet(themes(config.portal.accent), config.theme),
  )
  const script = asset('postern', 'js', 'text/javascript; charset=utf-8', browserScript())
  const icon = (name: Favicon) => asset(name, 'svg', 'image/svg+xml', faviconFile(name))
  const icons = {
    door: icon('door'),
    waiting: icon('waiting'),
    approved: icon('approved'),
    attention: icon('attention'),
  }
  const byName = new Map([style, script, ...favicons.map(name => icons[name])].map(file => [file.name, file]))
  return { style, script, icons, find: name => byName.get(name) }
}
