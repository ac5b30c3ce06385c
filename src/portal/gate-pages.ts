import type { Clock } from '../clock.ts'
import type { Config, CookieDomain } from '../config/schema.ts'
import type { OriginalUrl } from '../http/original-url.ts'
import type { Reason } from '../problems/problems.ts'
import type { Person } from '../users/users.ts'
import { buildAssets } from './assets.ts'
import { withParameters } from './context.ts'
import { renderPage } from './pages/frame.tsx'
import { badAddressPage, deniedPage } from './pages/refused.tsx'
import type { Shell } from './pages/view.ts'
import { createWords } from './words/words.ts'

/**
 * The HTML bodies of the gate's 403 and 400, which are shown on an application's host: absolute links to the portal, no script, no form.
 * The answer needs the policy that `foreignPageHeaders` gives. The composition root hands this to the gate.
 */
export function createGatePages({
  config,
  clock,
  simulated,
}: {
  config: Config
  clock: Clock
  /** Whether Duo is the simulator: the demo's bar is shown. */
  simulated: () => boolean
}) {
  const words = createWords()
  const assets = buildAssets(config)
  const [firstDomain] = config.session.cookies

  function foreignShell(domain: CookieDomain | undefined, wanted: { rd?: string; rm?: string }): Shell {
    const shown = domain ?? firstDomain
    if (shown === undefined) throw new Error('no cookie domain') // the schema wants one
    const absolute = (path: string) => `${shown.authelia_url}${path}`
    return {
      words,
      config,
      assets,
      domain: shown,
      simulated: simulated(),
      now: clock(),
      level: 0,
      username: null,
      site: null,
      token: null,
      foreign: true,
      url: (path, extra) => absolute(withParameters(path, { ...wanted, ...extra })),
      plainUrl: absolute,
    }
  }

  return {
    /** @param page `url` is shown without its query */
    denied({
      domain,
      url,
      method,
      person,
      ref,
    }: {
      domain: CookieDomain
      url: OriginalUrl
      method: string
      person: Person | undefined
      ref: string
    }): string {
      const shell = foreignShell(domain, { rd: url.href, rm: method })
      const view = deniedPage(shell, {
        username: person?.username ?? null,
        groups: person?.groups ?? [],
        host: url.host,
        method,
        url: url.href.split('?', 1)[0] ?? '',
        reference: ref,
      })
      return renderPage(shell, view)
    },
    bad({ domain, reason, ref }: { domain: CookieDomain | undefined; reason: Reason; ref: string }): string {
      const shell = foreignShell(domain, {})
      return renderPage(shell, badAddressPage(shell, reason, ref))
    },
  }
}
