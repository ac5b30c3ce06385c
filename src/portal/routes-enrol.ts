import type { Portal } from './context.ts'
import { enrolPage } from './pages/trouble.tsx'
import type { Pages } from './portal.ts'
import { isDuosUrl } from './show-offer.ts'

/** Setting up a phone with Duo's own pages, where `duo_api.enable_self_enrollment` allows it. */
export function enrolRoutes(pages: Pages, portal: Portal): void {
  const { login } = portal

  // The script opens it again when the person comes back to this tab: whoever has a device by then goes on.
  pages.get('/enroll', async context => {
    if (context.visit.who === null) return context.goTo('/')
    const offer = await login.offer(context.visit, context)
    if (offer.kind !== 'enroll' || offer.portalUrl === null) return context.goTo('/prove')
    return context.show(enrolPage(context.shell, context.message?.kind === 'not-enrolled'))
  })

  // *I'm done*: whoever has no device yet stays here and is told so.
  pages.post('/enroll', '/enroll', async context => {
    if (context.visit.who === null) return context.goTo('/')
    const offer = await login.offer(context.visit, context)
    return offer.kind === 'enroll' ? context.goSaying('/enroll', { kind: 'not-enrolled' }) : context.goTo('/prove')
  })

  // Duo's links live five minutes, so each press asks for a fresh one. A GET: form-action does not touch it.
  pages.get('/enroll/start', async context => {
    if (context.visit.who === null) return context.goTo('/')
    const offer = await login.offer(context.visit, context)
    if (offer.kind !== 'enroll' || offer.portalUrl === null || !isDuosUrl(portal, offer.portalUrl))
      return context.goTo('/prove')
    login.report(context.visit, 'duo.enroll', { reason: 'duo-enroll', detail: 'sent to Duo to set up a phone' })
    return context.goAway(offer.portalUrl)
  })
}
