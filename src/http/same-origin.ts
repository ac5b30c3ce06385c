import type { IncomingMessage } from 'node:http'
import { headerLines } from './headers.ts'

/**
 * Whether a request may come from a browser's page: only one of the portal itself. SameSite does not part subdomains, so a script on an
 * application's host would bring the cookie along. Without `Origin` and `Sec-Fetch-Site` it is no browser.
 * @param portal its origin: `https://auth.example.com`
 */
export function isSameOrigin({ rawHeaders, method }: IncomingMessage, portal: string): boolean {
  const origins = headerLines(rawHeaders, 'origin')
  const sites = headerLines(rawHeaders, 'sec-fetch-site')
  return (
    origins.every(origin => origin === portal) &&
    // `none`: typed into the address bar, which sends a GET, and a GET changes nothing here.
    sites.every(site => site === 'same-origin' || (site === 'none' && method === 'GET'))
  )
}
