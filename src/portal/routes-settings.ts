import { type Context, formOf, type Portal } from './context.ts'
import { wayFrom } from './pages/choose.tsx'
import { everywherePage, type SettingsNews, settingsPage, wayPage } from './pages/settings.tsx'
import type { Pages } from './portal.ts'

/** A person's own sessions, browsers, preferred way and last logins. */
export function settingsRoutes(pages: Pages, portal: Portal): void {
  const { login } = portal
  const { settings } = login

  /** Whoever may not open the settings yet proves first, and comes back. */
  const toProof = ({ visit, goTo }: Context) => goTo(visit.who === null ? '/' : '/prove', { to: 'settings' })
  const back = (context: Context, news: SettingsNews) => context.goSaying('/settings', { kind: 'settings', news })

  pages.get('/settings', async context => {
    const { visit, shell, message } = context
    const overview = await settings.overview(visit)
    if (overview === null || visit.who === null) return toProof(context)
    const news = message?.kind === 'settings' ? message.news : undefined
    return context.show(settingsPage(shell, overview, visit.who.session.key, news))
  })

  pages.post('/settings/end', '/settings', async (context, request) => {
    if (!settings.mayOpen(context.visit)) return toProof(context)
    const ended = await settings.endSession(context.visit, formOf(request).get('session') ?? '')
    return back(context, ended === null ? { did: 'gone' } : { did: 'ended', browser: ended.browser })
  })

  pages.get('/settings/everywhere', async context => {
    const overview = await settings.overview(context.visit)
    return overview === null
      ? toProof(context)
      : context.show(everywherePage(context.shell, overview.sessions.length - 1))
  })

  pages.post('/settings/everywhere', '/settings/everywhere', async (context, request) => {
    const { visit } = context
    if (!settings.mayOpen(visit)) return toProof(context)
    const which = formOf(request).get('which')
    if (which === 'others') return back(context, { did: 'others', count: await settings.endOthers(visit) })
    if (which !== 'all') return context.goTo('/settings/everywhere')
    const count = await settings.endAll(visit)
    if (count === null) return toProof(context)
    context.setCookie(await login.signOut(visit))
    context.setHeader('clear-site-data', '"cache"')
    return context.goSaying('/logout/done', { kind: 'everywhere', count })
  })

  pages.get('/settings/way', async context => {
    if (!settings.mayOpen(context.visit)) return toProof(context)
    const offer = await login.offer(context.visit, context)
    return offer.kind === 'choose' ? context.show(wayPage(context.shell, offer)) : back(context, { did: 'no-ways' })
  })

  pages.post('/settings/way', '/settings', async (context, request) => {
    const { visit } = context
    if (!settings.mayOpen(visit)) return toProof(context)
    const form = formOf(request)
    if (form.get('forget') === 'true') {
      await settings.forgetWay(visit)
      return back(context, { did: 'forgot-way' })
    }
    const way = wayFrom(form.get('way'))
    const kept = way !== undefined && (await login.keepWay(visit, way))
    return back(context, { did: kept ? 'kept-way' : 'no-way' })
  })

  pages.post('/settings/browsers', '/settings', async (context, request) => {
    const { visit } = context
    if (!settings.mayOpen(visit)) return toProof(context)
    const id = formOf(request).get('browser') ?? ''
    if (id === 'all') {
      await settings.forgetBrowsers(visit)
      return back(context, { did: 'browsers' })
    }
    const forgotten = await settings.forgetBrowser(visit, id)
    return back(context, forgotten === null ? { did: 'gone' } : { did: 'browser', browser: forgotten.browser })
  })
}
