import type { FastifyInstance } from 'fastify'
import { parseUrl } from '../http/original-url.ts'
import type { Login, Next } from '../login/login.ts'
import { type Context, formOf, type Portal } from './context.ts'
import { goPage, sentBackPage, signedOutPage, signoutPage, unsafePage } from './pages/home.tsx'
import { deniedPage } from './pages/refused.tsx'
import type { Pages } from './portal.ts'

/** Ways out: to the wanted site, to none, and away. */
export function leaveRoutes(app: FastifyInstance, pages: Pages, { login, config }: Portal): void {
  pages.get('/go', context => {
    const { visit, rm, shell, next } = context
    if (visit.who === null && next.to !== 'site') return context.goTo('/')
    if (next.to === 'site') {
      const unsent = rm !== undefined && !/^(?:GET|HEAD)$/i.test(rm)
      if (!unsent) context.leaveFor(next.url)
      return context.show(goPage(shell, next, unsent))
    }
    if (next.to !== 'unsafe') return context.goOn(next)
    login.report(visit, 'redirect.refused', { host: next.host })
    return context.show(unsafePage(shell, next.host))
  })

  // Where nginx sends somebody whom the gate refused, and who cannot be shown the gate's own answer. Anybody may open this link, so the
  // rules are asked again: whom they let pass goes on, and is not told "no access" where the gate has just said otherwise.
  pages.get('/denied', context => {
    const { visit, rd, rm, shell, next } = context
    if (shell.site === null || next.to !== 'site') return context.goOn(next)
    if (!next.forbidden) return context.cameBack > 0 ? sentBack(login, context, next) : context.goOn(next)
    return context.show(
      deniedPage(shell, {
        username: visit.who?.person.username ?? null,
        groups: visit.who?.person.groups ?? [],
        host: shell.site,
        method: (rm ?? 'GET').toUpperCase(),
        url: wantedUrl(context),
        reference: login.denied(visit, { rd, rm }),
      }),
    )
  })

  // A GET always asks; only the POST signs out.
  pages.get('/logout', context =>
    context.visit.who === null ? context.goTo('/') : context.show(signoutPage(context.shell)),
  )

  pages.post('/logout', '/logout', async (context, request) => {
    context.setCookie(await login.signOut(context.visit))
    // Never "cookies": that would wipe those of every application under the same registrable domain.
    context.setHeader('clear-site-data', '"cache"')
    return context.goTo(formOf(request).has('switch') ? '/' : '/logout/done')
  })

  pages.get('/logout/done', context => {
    const url = wantedUrlInFull(context)
    const back = url === null ? null : { url: url.href, host: url.host }
    const { message } = context
    const everywhere = message?.kind === 'everywhere' ? message.count : null
    return context.show(signedOutPage(context.shell, back, everywhere))
  })

  // Authelia's paths, so that links and proxy files which name them go on working.
  const moved = (from: string, to: string) =>
    app.get(from, (request, reply) => {
      const [, query] = (request.raw.url ?? '').split(/\?(.*)/s, 2)
      return reply.redirect(/^https?:/.test(to) || query === undefined ? to : `${to}?${query}`, 303)
    })
  const reset = config.authentication_backend.password_reset.custom_url ?? '/help'
  moved('/2fa/*', '/prove')
  moved('/2fa', '/prove')
  moved('/authenticated', '/')
  moved('/settings/*', '/settings')
  moved('/reset-password', reset)
  moved('/reset-password/*', reset)
}

/** The gate and the portal do not agree: nothing is followed by itself any more. */
export function sentBack(login: Login, { visit, shell, show }: Context, next: Extract<Next, { to: 'site' }>) {
  const reference = login.report(visit, 'redirect.refused', { reason: 'gate-loop', host: next.host })
  return show(sentBackPage(shell, next, reference))
}

/** The wanted URL, only where login/ holds it for safe. */
function wantedUrlInFull({ shell, rd }: Context) {
  const url = shell.site === null || rd === undefined ? 'malformed' : parseUrl(rd)
  return typeof url === 'string' ? null : url
}

function wantedUrl(context: Context): string | null {
  const url = wantedUrlInFull(context)
  return url === null ? null : (url.href.split('?', 1)[0] ?? null)
}
