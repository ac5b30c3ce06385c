import type { Portal } from './context.ts'
import type { Pages } from './portal.ts'
import { isDuosUrl } from './show-offer.ts'

/** Setting up a phone with Duo's own pages, where `duo_api.enable_self_enrollment` allows it. */
export function enrolRoutes(pages: Pages, portal: Portal): void {
  const { login } = portal

  // *I'm done*: `/prove` asks Duo, and says so to whom has no device yet.
  pages.post('/enroll', '/prove', context =>
    context.visit.who === null ? context.goTo('/') : context.goSaying('/prove', { kind: 'not-enrolled' }),
  )

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
