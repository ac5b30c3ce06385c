import type { ComponentChildren } from 'preact'
import type { Level } from '../../access/access.ts'
import type { Config, CookieDomain } from '../../config/schema.ts'
import type { Assets } from '../assets.ts'
import type { Favicon } from '../look/icons.tsx'
import type { WordKey, Words } from '../words/words.ts'

/** What every page is made with. */
export interface Shell {
  readonly words: Words
  readonly config: Config
  readonly domain: CookieDomain
  readonly assets: Assets
  /** Whether Duo is the simulator: the demo's bar is shown. */
  readonly simulated: boolean
  readonly now: number
  readonly level: Level
  /** Who is signed in. */
  readonly username: string | null
  /** The host of a safe `rd`. */
  readonly site: string | null
  /** The settings of the portal itself are wanted. */
  readonly wantsSettings?: boolean
  /** A URL of the portal that carries `rd` and `rm` along. */
  url(path: string, extra?: Readonly<Record<string, string>>): string
  /** A URL of the portal without them. */
  plainUrl(path: string): string
  /** A form token. Calling it makes the answer set the browser's form cookie where it has none. Null: a page without forms. */
  readonly token: (() => string) | null
  /** The page stands on an application's host: links only. */
  readonly foreign: boolean
}

/** One page, ready to be put into the frame that all pages share. */
export interface View {
  /** Its id in the page map: `wait.push`. */
  readonly id: string
  readonly status: number
  readonly title: WordKey
  /** The title begins with `Error:`. */
  readonly error?: boolean
  readonly icon: Favicon
  readonly body: ComponentChildren
  /** The form before it was too old, so that nothing was done: the frame says so, whatever the page is. */
  readonly stale?: boolean
  /** Two columns of tiles. */
  readonly wide?: boolean
  /** The body holds the page's one status region itself. */
  readonly ownStatus?: boolean
  /** Where a browser without script asks again, and after how many seconds. */
  readonly again?: { readonly url: string; readonly seconds: number } | null
  readonly headers?: Readonly<Record<string, string>>
}
