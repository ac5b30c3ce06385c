import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SECOND } from '../clock.ts'
import type { Offer, PushView } from '../duo/duo.ts'
import { whileConnected } from '../http/while-connected.ts'
import type { Claim, Login, Visit } from '../login/login.ts'
import { type Context, contextOf, formOf, isFromPortal, type Portal } from './context.ts'
import type { Favicon } from './look/icons.tsx'
import { assetUrl } from './pages/frame.tsx'
import {
  allowedPage,
  busyPage,
  type ChooseNews,
  choosePage,
  deniedPushPage,
  timeoutPage,
  waitPage,
} from './pages/prove.tsx'
import {
  duoDenyPage,
  duoDownPage,
  duoSetupPage,
  enrolAskPage,
  enrolPage,
  lockedPage,
  noDevicePage,
} from './pages/trouble.tsx'
import type { View } from './pages/view.ts'
import type { Pages } from './portal.ts'

// Shorter than the 30 seconds after which a proxy or a load balancer may cut a silent answer.
const PAGE_HELD_AT_MOST = 20 * SECOND
const POLL_HELD_AT_MOST = 25 * SECOND

const isOver = ({ state }: PushView) => state !== 'sending' && state !== 'waiting'

/** The second factor: which device, waiting for it, and how that ends. */
export function proveRoutes(app: FastifyInstance, pages: Pages, portal: Portal): void {
  const { login, words, assets } = portal

  pages.get('/prove', async context => {
    if (context.visit.who === null) return context.goTo('/')
    if (context.visit.level === 2) return context.goOn(login.next(context.visit, context.rd))
    // A second tab joins the push that waits, unless somebody asks for another way.
    const push = context.query.has('another') ? null : await login.push(context.visit)
    if (push !== null && !isOver(push)) return context.goTo('/prove/wait')
    return showOffer(portal, context, await login.offer(context.visit))
  })

  pages.post('/prove', '/prove', async (context, request) => {
    const { visit, rd } = context
    if (visit.who === null) return context.goTo('/')
    if (visit.level === 2) return context.goOn(login.next(visit, rd))
    const answer = await login.sendPush(visit, formOf(request).get('device'), rd)
    switch (answer.outcome) {
      case 'started':
      case 'joined':
        return context.goTo('/prove/wait')
      case 'busy':
      case 'paused':
        return context.goSaying('/prove/wait', { kind: answer.outcome, until: answer.until })
      case 'unknown-device':
        return context.goSaying('/prove', { kind: 'unknown-device' })
      case 'offer':
        return answer.offer.kind === 'allow'
          ? raised(login, context, await login.raiseByPolicy(visit, answer.offer.said))
          : context.goTo('/prove') // which asks again, and says what is wrong
      case 'no-second-factor':
        return context.goTo('/prove')
    }
  })

  pages.post('/prove/cancel', '/prove', async context => {
    if (context.visit.who === null) return context.goTo('/')
    await login.cancelPush(context.visit)
    return context.goSaying('/prove', { kind: 'cancelled' })
  })

  // One URL, one transaction: this page shows whatever state it is in, to any tab, reload or history entry.
  pages.get('/prove/wait', async (context, request) => {
    const { visit, message, shell, query } = context
    if (visit.who === null) return context.goTo('/')
    if (visit.level === 2) return context.goOn(login.next(visit, context.rd))
    if ((message?.kind === 'busy' || message?.kind === 'paused') && message.until > shell.now)
      return context.show(busyPage(shell, message.kind, message.until))
    let push = await login.push(visit)
    if (push !== null && query.has('held') && !isOver(push))
      push = await held(portal, request, visit, push.seq, PAGE_HELD_AT_MOST)
    return push === null
      ? context.goTo('/prove')
      : showPush(login, { ...context, shell: { ...shell, now: portal.clock() } }, push, query.has('paused'))
  })

  pages.get('/enroll', async context => {
    if (context.visit.who === null) return context.goTo('/')
    const offer = await login.offer(context.visit)
    if (offer.kind !== 'enroll' || offer.portalUrl === null) return context.goTo('/prove')
    return context.show(enrolPage(context.shell, context.message?.kind === 'not-enrolled'))
  })

  // *I'm done*: whoever has no device yet stays here and is told so.
  pages.post('/enroll', '/enroll', async context => {
    if (context.visit.who === null) return context.goTo('/')
    const offer = await login.offer(context.visit)
    return offer.kind === 'enroll' ? context.goSaying('/enroll', { kind: 'not-enrolled' }) : context.goTo('/prove')
  })

  // Duo's links live five minutes, so each press asks for a fresh one. A GET: form-action does not touch it.
  pages.get('/enroll/start', async context => {
    if (context.visit.who === null) return context.goTo('/')
    const offer = await login.offer(context.visit)
    if (offer.kind !== 'enroll' || offer.portalUrl === null || !isDuosUrl(portal, offer.portalUrl))
      return context.goTo('/prove')
    return context.goAway(offer.portalUrl)
  })

  // What the waiting page's script asks; the words come translated.
  app.route({
    method: 'GET',
    url: '/api/transaction',
    exposeHeadRoute: false,
    async handler(request, reply) {
      const visit = await login.visit(request)
      if (visit === undefined) return reply.code(400).send({ status: 'KO', message: 'Unknown host' })
      if (!isFromPortal(request, visit.domain)) return reply.code(403).send({ status: 'KO', message: 'Forbidden' })
      if (visit.who === null) return reply.code(401).send({ status: 'KO', message: 'Unauthorized' })
      const context = contextOf(portal, request, reply, visit)
      const after = Number(context.query.get('after') ?? 0)
      if (!Number.isSafeInteger(after) || after < 0)
        return reply.code(400).send({ status: 'KO', message: 'Bad Request' })
      const here = context.shell.url('/prove/wait')
      let push = visit.level === 2 ? null : await login.push(visit)
      if (push !== null && !isOver(push) && push.seq <= after)
        push = await held(portal, request, visit, after, POLL_HELD_AT_MOST)
      const over = push === null || isOver(push)
      if (push?.state === 'fraud') leaveFraud(login, context)
      const next = push?.state === 'fraud' ? '/?m=1' : here
      const icon: Favicon = push?.state === 'allowed' ? 'approved' : over ? 'attention' : 'waiting'
      return reply.send({
        seq: push?.seq ?? after,
        over,
        next,
        left: push === null ? 0 : Math.max(0, Math.ceil((push.deadline - portal.clock()) / SECOND)),
        words: over ? '' : words.text('wait.push.live'),
        said: push?.said ?? '',
        title: `${words.text('wait.push.title')} – ${portal.config.portal.name}`,
        icon: assetUrl(context.shell, assets.icons[icon]),
      })
    },
  })
}

/** Whether the state changed or not, the newest there is. */
async function held(portal: Portal, request: FastifyRequest, visit: Visit, seq: number, within: number) {
  const push = await whileConnected(request.raw, async gone => {
    const signal = AbortSignal.any([gone, portal.closing])
    return portal.login.pushChange(visit, seq, within, signal).catch((error: unknown) => {
      if (signal.aborted) return null
      throw error
    })
  })
  return push ?? portal.login.push(visit)
}

async function showPush(login: Login, context: Context, push: PushView, paused: boolean): Promise<FastifyReply> {
  const { shell, visit } = context
  switch (push.state) {
    case 'sending':
    case 'waiting':
      return context.show(waitPage(shell, push, paused))
    case 'allowed':
      // The one GET that changes something: this browser takes the approval of its own newest push, once.
      return raised(login, context, await login.claim(visit))
    case 'claimed':
      return context.goTo('/')
    case 'denied':
      return context.show(deniedPushPage(shell, push.device.name, await login.pushPausedUntil(visit)))
    case 'timed-out':
      return context.show(timeoutPage(shell, push.device))
    case 'cancelled':
      return context.goSaying('/prove', { kind: 'cancelled' })
    case 'failed':
      return context.goSaying('/prove', {
        kind: 'failed',
        ref: login.report(visit, 'access.denied', { reason: 'push-failed', device: push.device.name }),
      })
    case 'fraud':
      leaveFraud(login, context)
      return context.goTo('/', { m: '1' })
  }
}

function leaveFraud(login: Login, { visit, leave }: Context): void {
  const username = visit.who?.person.username ?? ''
  leave({ kind: 'fraud', username, ref: login.report(visit, 'access.denied', { reason: 'push-reported' }) })
}

function raised(login: Login, context: Context, claim: Claim): FastifyReply {
  const { visit, rd } = context
  if (claim.outcome !== 'raised') return context.goTo(claim.outcome === 'ended' ? '/' : '/prove')
  if (visit.who === null) return context.goTo('/')
  const { session, cookie } = claim.started
  context.setCookie(cookie)
  return context.goOn(login.next({ ...visit, who: { ...visit.who, session }, level: session.level }, rd))
}

function showOffer(portal: Portal, context: Context, offer: Offer | { kind: 'no-second-factor' }): FastifyReply {
  const { login, config } = portal
  const { shell, visit, query } = context
  const about = (reason: string, detail?: string) => ({
    reason,
    ...(shell.site === null ? {} : { host: shell.site }),
    ...(detail === undefined ? {} : { detail }),
  })
  const show = (view: View) => context.show(view)
  switch (offer.kind) {
    case 'choose':
      return show(choosePage(shell, offer.devices, offer.preferred, chooseNews(context)))
    case 'allow':
      return show(allowedPage(shell, offer.said))
    case 'deny': {
      const reference = login.report(visit, 'duo.denied', about(offer.reason, offer.said))
      return show(
        offer.reason === 'duo-locked' ? lockedPage(shell, reference) : duoDenyPage(shell, offer.said, reference),
      )
    }
    case 'enroll':
      if (config.duo_api?.enable_self_enrollment && offer.portalUrl !== null && isDuosUrl(portal, offer.portalUrl))
        return context.goTo('/enroll')
      return show(enrolAskPage(shell, login.report(visit, 'duo.enroll', about('duo-enroll', offer.said))))
    case 'no-device':
      return show(noDevicePage(shell, offer, login.report(visit, 'duo.no-device', about(offer.reason))))
    case 'no-second-factor': {
      const reference = login.report(visit, 'duo.misconfigured', about('no-second-factor'))
      return show(noDevicePage(shell, { reason: 'no-second-factor', device: null }, reference))
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

function chooseNews({ message }: Context): ChooseNews | undefined {
  return message?.kind === 'cancelled' || message?.kind === 'failed' || message?.kind === 'unknown-device'
    ? message
    : undefined
}

/** A link that Duo gave is followed only to Duo: https, at the host of the configuration or under Duo's domain. */
function isDuosUrl({ config }: Portal, text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '') return false
  return url.host === config.duo_api?.hostname || url.hostname.endsWith('.duosecurity.com')
}
