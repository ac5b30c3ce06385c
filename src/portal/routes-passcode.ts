import type { Device, Offer } from '../duo/duo.ts'
import { type Context, formOf, type Portal } from './context.ts'
import { type PasscodeNews, passcodePage } from './pages/passcode.tsx'
import { bannedPage } from './pages/signin.tsx'
import type { Pages } from './portal.ts'
import { goHeld, raised } from './routes-prove.ts'
import { showOffer } from './show-offer.ts'

/** A passcode: of an app, a token, a text message or an administrator. */
export function passcodeRoutes(pages: Pages, portal: Portal): void {
  const { login } = portal

  pages.get('/prove/passcode', async context => {
    const { visit, shell } = context
    if (visit.who === null) return context.goTo('/')
    if (context.provedEnough) return context.goOn(context.next)
    const banned = await login.ban(visit)
    if (banned !== null) return context.show(bannedPage(shell, 'prove.banned', banned))
    const offer = await login.offer(visit, context)
    return takesPasscode(offer)
      ? context.show(passcodePage(shell, newsOf(context, offer), phonesOf(offer)))
      : showOffer(portal, context, offer)
  })

  pages.post('/prove/passcode', '/prove/passcode', async (context, request) => {
    const { visit } = context
    if (visit.who === null) return context.goTo('/')
    if (context.provedEnough) return context.goOn(context.next)
    const form = formOf(request)
    const entered = form.get('passcode') ?? ''
    if (entered.trim() === '') return context.goSaying('/prove/passcode', { kind: 'passcode-empty' })
    const tried = await login.passcode(visit, entered, context)
    switch (tried.outcome) {
      case 'accepted':
        return raised(login, context, await login.claim(visit, form.get('remember') === 'true'))
      case 'malformed':
        return context.goSaying('/prove/passcode', { kind: 'passcode-malformed' })
      case 'wrong':
        return context.goSaying('/prove/passcode', { kind: 'passcode-wrong', triesLeft: tried.triesLeft })
      case 'locked': {
        const ref = login.report(visit, 'duo.denied', { reason: 'duo-locked', detail: tried.said })
        return context.goSaying('/prove', { kind: 'locked', ref })
      }
      default:
        return goHeld(login, context, tried)
    }
  })
}

type Choice = Extract<Offer, { kind: 'choose' }>
type TakesPasscode = Choice | Extract<Offer, { kind: 'no-device' }>

/** Whether a passcode may be tried: also by whom Duo knows without a device, since an administrator's bypass code needs none. */
function takesPasscode(offer: Offer | { kind: 'no-second-factor' }): offer is TakesPasscode {
  if (offer.kind === 'no-device') return offer.passcode
  return offer.kind === 'choose' && offer.ways.some(way => way.kind === 'passcode' || way.kind === 'sms')
}

/** Those to which Duo can text new passcodes. */
function phonesOf(offer: TakesPasscode): readonly Device[] {
  if (offer.kind === 'no-device') return []
  const texted = new Set(offer.ways.flatMap(way => (way.kind === 'sms' ? [way.device] : [])))
  return offer.devices.filter(({ id }) => texted.has(id))
}

function newsOf({ message }: Context, offer: TakesPasscode): PasscodeNews | undefined {
  switch (message?.kind) {
    case 'sms-sent': {
      const devices = offer.kind === 'choose' ? offer.devices : []
      const device = devices.find(({ id }) => id === message.device) ?? null
      return { kind: 'sms-sent', device, nextCode: message.nextCode }
    }
    case 'sms-wait':
    case 'passcode-empty':
    case 'passcode-malformed':
    case 'passcode-wrong':
      return message
    default:
      return undefined
  }
}
