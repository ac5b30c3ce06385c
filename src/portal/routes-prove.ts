import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SECOND } from '../clock.ts'
import type { Held, PushView, StartOutcome } from '../duo/duo.ts'
import { whileConnected } from '../http/while-connected.ts'
import type { Claim, Limited, Login, Visit } from '../login/login.ts'
import { referenceOf } from '../problems/reference.ts'
import { type Context, contextOf, formOf, isFromPortal, type Portal } from './context.ts'
import type { Favicon } from './look/icons.tsx'
import { wayFrom } from './pages/choose.tsx'
import { assetUrl } from './pages/frame.tsx'
import { busyPage, deniedPushPage, timeoutPage, waitPage } from './pages/prove.tsx'
import { limitedPage } from './pages/refused.tsx'
import { bannedPage } from './pages/signin.tsx'
import type { Pages } from './portal.ts'
import { showOffer } from './show-offer.ts'

// Shorter than the 30 seconds after which a proxy or a load balancer may cut a silent answer.
const PAGE_HELD_AT_MOST = 20 * SECOND
const POLL_HELD_AT_MOST = 25 * SECOND

const isOver = ({ state }: PushView) => state !== 'sending' && state !== 'waiting'

/** The second factor: which way, waiting for the phone, and how that ends. A passcode has a file of its own. */
export function proveRoutes(app: FastifyInstance, pages: Pages, portal: Portal): void {
  const { login, words, assets } = portal

  pages.get('/prove', async context => {
    const { visit, shell } = context
    if (visit.who === null) return context.goTo('/')
    if (context.provedEnough) return context.goOn(context.next)
    const { message } = context
    if (message?.kind === 'limited' && message.until > shell.now) return context.show(limitedPage(shell, message.until))
    const banned = await login.ban(visit)
    if (banned !== null) return context.show(bannedPage(shell, 'prove.banned', banned))
    // A second tab joins the push that waits, unless somebody asks for another way.
    const push = context.query.has('another') ? null : await login.push(visit)
    if (push !== null && !isOver(push)) return context.goTo('/prove/wait')
    return showOffer(portal, context, await login.offer(visit, context))
  })

  pages.post('/prove', '/prove', async (context, request) => {
    const { visit } = context
    if (visit.who === null) return context.goTo('/')
    if (context.provedEnough) return context.goOn(context.next)
    const form = formOf(request)
    const way = wayFrom(form.get('way'))
    if (way?.kind === 'passcode') return context.goTo('/prove/passcode')
    if (way?.kind === 'sms') return sendSms(login, context, way.device)
    const answer = await login.ring(visit, way && { kind: way.kind, device: way.device }, context)
    return 'push' in answer
      ? waitFor(context, answer.push, form.get('remember') === 'true')
      : goHeld(login, context, answer)
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
    if (context.provedEnough) return context.goOn(context.next)
    if (message?.kind === 'busy' && message.until > shell.now)
      return context.show(busyPage(shell, 'busy', message.until))
    if (message?.kind === 'paused' && message.until > shell.now)
      return context.show(busyPage(shell, message.why, message.until))
    let push = await login.push(visit)
    if (push !== null && query.has('held') && !isOver(push))
      push = await held(portal, request, visit, push.seq, PAGE_HELD_AT_MOST)
    return push === null
      ? context.goTo('/prove')
      : showPush(login, { ...context, shell: { ...shell, now: portal.clock() } }, push, query.has('paused'))
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
      let push = await login.push(visit)
      if (push !== null && !isOver(push) && push.seq <= after)
        push = await held(portal, request, visit, after, POLL_HELD_AT_MOST)
      const over = push === null || isOver(push)
      if (push?.state === 'fraud') leaveFraud(context, push)
      const next = push?.state === 'fraud' ? '/?m=1' : here
      const icon: Favicon = push?.state === 'allowed' ? 'approved' : over ? 'attention' : 'waiting'
      const call = push?.factor === 'phone'
      return reply.send({
        seq: push?.seq ?? after,
        over,
        next,
        left: push === null ? 0 : Math.max(0, Math.ceil((push.deadline - portal.clock()) / SECOND)),
        words: over ? '' : words.text(call ? 'wait.call.live' : 'wait.push.live'),
        said: push?.said ?? '',
        title: `${words.text(call ? 'wait.call.title' : 'wait.push.title')} – ${portal.config.portal.name}`,
        icon: assetUrl(context.shell, assets.icons[icon]),
      })
    },
  })
}

/** Whether the wanted site takes only a factor that Duo asked for. */
const wantsAskedFor = ({ next }: Context): boolean => next.to === 'prove' && next.factors.length > 0

/** After a push was sent or a call made. @param remember the person ticked the box of this form */
function waitFor(context: Context, push: PushView, remember: boolean): FastifyReply {
  if (remember) context.wishToRemember(push.id)
  return context.goTo('/prove/wait')
}

/** Where somebody goes for whom nothing was sent or tried. */
export async function goHeld(
  login: Login,
  context: Context,
  answer: Exclude<StartOutcome, { push: PushView }> | Held | Limited | { outcome: 'no-second-factor' },
): Promise<FastifyReply> {
  const { visit } = context
  switch (answer.outcome) {
    case 'busy':
      return context.goSaying('/prove/wait', { kind: 'busy', until: answer.until })
    case 'paused':
      return context.goSaying('/prove/wait', { kind: 'paused', until: answer.until, why: answer.why })
    case 'limited':
      return context.goSaying('/prove', { kind: 'limited', until: answer.until })
    case 'unknown-device':
      return context.goSaying('/prove', { kind: 'unknown-device' })
    case 'offer': {
      const { offer } = answer
      const passes = offer.kind === 'allow' || (offer.kind === 'failmode' && !context.wantsSettings)
      return passes && !wantsAskedFor(context)
        ? raised(login, context, await login.raiseByPolicy(visit, offer))
        : context.goTo('/prove') // which asks again, and says what is wrong
    }
    case 'banned':
    case 'no-second-factor':
      return context.goTo('/prove')
  }
}

async function sendSms(login: Login, context: Context, device: string): Promise<FastifyReply> {
  const sent = await login.sms(context.visit, device, context)
  switch (sent.outcome) {
    case 'sent':
      return context.goSaying('/prove/passcode', { kind: 'sms-sent', device, nextCode: sent.nextCode })
    case 'cool-down':
      return context.goSaying('/prove/passcode', { kind: 'sms-wait', until: sent.until })
    case 'refused':
      return context.goSaying('/prove', { kind: 'sms-refused', said: sent.said })
    default:
      return goHeld(login, context, sent)
  }
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
      return raised(login, context, await login.claim(visit, context.wishesToRemember(push.id)))
    case 'claimed':
      return context.goTo('/')
    case 'denied':
      return context.show(deniedPushPage(shell, push, await login.pushPausedUntil(visit)))
    case 'timed-out':
      return context.show(timeoutPage(shell, push))
    case 'cancelled':
      return context.goSaying('/prove', { kind: 'cancelled' })
    case 'failed':
      return context.goSaying('/prove', {
        kind: push.reason === 'duo-locked' ? 'locked' : 'failed',
        ref: referenceOf(push.id),
      })
    case 'fraud':
      leaveFraud(context, push)
      return context.goTo('/', { m: '1' })
  }
}

/** The log has it under the reference of this push, written when it ended: looking at it is no event. */
function leaveFraud({ visit, leave }: Context, { id }: PushView): void {
  leave({ kind: 'fraud', username: visit.who?.person.username ?? '', ref: referenceOf(id) })
}

/** Where the new session goes on. */
export function raised(login: Login, context: Context, claim: Claim): FastifyReply {
  const { visit, rd, rm } = context
  if (claim.outcome !== 'raised') return context.goTo(claim.outcome === 'ended' ? '/' : '/prove')
  if (visit.who === null) return context.goTo('/')
  const { session, cookie } = claim.started
  context.setCookie(cookie)
  if (claim.remembered !== null) context.setCookie(claim.remembered)
  return context.goOn(login.next({ ...visit, who: { ...visit.who, session }, level: session.level }, { rd, rm }))
}
