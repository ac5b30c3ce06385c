import type { CookieDomain } from '../config/schema.ts'
import type { OriginalUrl } from '../http/original-url.ts'
import { problems, type Reason } from '../problems/problems.ts'
import type { Person } from '../users/users.ts'

/** What a page tells that is shown on an application's host: links to the portal only, no script and no form. */
export interface DeniedPage {
  readonly domain: CookieDomain
  /** Shown without its query. */
  readonly url: OriginalUrl
  readonly method: string
  readonly person: Person | undefined
  /** The log holds the event under it. */
  readonly ref: string
}

export interface BadPage {
  /** Undefined where the host is covered by no cookie domain, or could not be read. */
  readonly domain: CookieDomain | undefined
  readonly reason: Reason
  readonly ref: string
}

/** Writes the HTML bodies of a 403 and of a 400. The portal's renderer is handed in by the composition root: the gate draws nothing. */
export interface GatePages {
  denied(page: DeniedPage): string
  bad(page: BadPage): string
}

/** Bodies for when no renderer is handed in. */
export const plainPages: GatePages = {
  denied: ({ ref }) => document('No access', `You can’t open this page. Reference: ${ref}`),
  bad: ({ reason, ref }) => document('Wrong address', `${problems[reason].title}. Reference: ${ref}`),
}

/** The body of a redirect: one link. */
export function linkPage(status: string, location: string): string {
  return document(status, `<a href="${escaped(location)}">${status}</a>`)
}

function document(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><p>${body}</p></html>\n`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
