import type { FastifyReply } from 'fastify'
import type { Offer } from '../duo/duo.ts'
import type { Context, Portal } from './context.ts'
import { allowedPage, type ChooseNews, choosePage } from './pages/choose.tsx'
import {
  duoDenyPage,
  duoDownPage,
  duoSetupPage,
  enrolAskPage,
  enrolPage,
  lockedPage,
  noDevicePage,
  notAskedPage,
} from './pages/trouble.tsx'
import type { View } from './pages/view.ts'

/** The page for what Duo lets a person do; each that only an administrator can mend is written to the log under the reference it shows. */
export function showOffer(portal: Portal, context: Context, offer: Offer | { kind: 'no-second-factor' }): FastifyReply {
  const { login } = portal
  const { shell, visit, query, next, message } = context
  const about = (reason: string, detail?: string) => ({
    reason,
    ...(shell.site === null ? {} : { host: shell.site }),
    ...(detail === undefined ? {} : { detail }),
  })
  const show = (view: View) => context.show(view)
  if (message?.kind === 'locked') return show(lockedPage(shell, message.ref))
  const wanted = next.to === 'prove' && !context.wantsSettings ? next : null
  const onlyAskedFor = wanted !== null && wanted.factors.length > 0
  switch (offer.kind) {
    case 'choose':
      return show(choosePage(shell, offer, chooseNews(context, offer.forgotten), wanted))
    case 'allow': {
      if (!onlyAskedFor) return show(allowedPage(shell, offer.said))
      const reference = login.report(visit, 'level.refused', about('duo-not-asked', offer.said))
      return show(notAskedPage(shell, offer.said, reference))
    }
    case 'failmode':
      // The settings are not for whoever an outage lets pass.
      return onlyAskedFor || context.wantsSettings
        ? showOffer(portal, context, offer.trouble)
        : show(allowedPage(shell, null))
    case 'deny': {
      const reference = login.report(visit, 'duo.denied', about(offer.reason, offer.said))
      return show(
        offer.reason === 'duo-locked' ? lockedPage(shell, reference) : duoDenyPage(shell, offer.said, reference),
      )
    }
    case 'enroll':
      if (offer.portalUrl !== null && isDuosUrl(portal, offer.portalUrl))
        return show(enrolPage(shell, message?.kind === 'not-enrolled'))
      return show(enrolAskPage(shell, login.report(visit, 'duo.enroll', about('duo-enroll', offer.said))))
    case 'no-device':
      return show(noDevicePage(shell, offer, login.report(visit, 'duo.no-device', about(offer.reason))))
    case 'no-second-factor': {
      const reference = login.report(visit, 'duo.misconfigured', about('no-second-factor'))
      return show(noDevicePage(shell, { reason: 'no-second-factor', device: null, passcode: false }, reference))
    }
    case 'unavailable': {
      const reference = login.report(visit, 'duo.unavailable', about(offer.reason, offer.detail))
      return show(duoDownPage(shell, offer.reason, reference, query.has('paused')))
    }
    case 'misconfigured': {
      const reference = login.report(visit, 'duo.misconfigured', about(offer.reason, offer.detail))
      return show(duoSetupPage(shell, offer, reference))
    }
  }
}

function chooseNews({ message }: Context, forgotten: string | null): ChooseNews | undefined {
  switch (message?.kind) {
    case 'cancelled':
    case 'failed':
    case 'unknown-device':
    case 'sms-refused':
      return message
    default:
      return forgotten === null ? undefined : { kind: 'forgotten', device: forgotten }
  }
}

/** A link that Duo gave is followed only to Duo: https, at the host of the configuration or under Duo's domain. */
export function isDuosUrl({ config }: Portal, text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '') return false
  return url.host === config.duo_api?.hostname || url.hostname.endsWith('.duosecurity.com')
}
