import { SECOND } from '../clock.ts'
import type { Visit } from '../login/login.ts'
import { type Context, formOf, type Portal } from './context.ts'
import type { Message } from './message.ts'
import { homePage } from './pages/home.tsx'
import { downPage, limitedPage } from './pages/refused.tsx'
import { bannedPage, fraudPage, helpPage, type SigninNews, signinPage } from './pages/signin.tsx'
import type { View } from './pages/view.ts'
import type { Pages } from './portal.ts'
import { sentBack } from './routes-leave.ts'
import { raised } from './routes-prove.ts'

const NAME_KEPT_AT_MOST = 256 // the message must fit into a cookie

/** Several tabs may wait for one page; a circle comes back again and again. */
const ROUNDS_AT_MOST = 3

/** `/` and what is done with a password. */
export function signinRoutes(pages: Pages, { login, config }: Portal): void {
  pages.get('/', async context => {
    const { visit, rd, next, shell } = context
    if (visit.who !== null && context.wantsSettings) return context.goOn(next)
    if (visit.who === null || (rd !== undefined && next.to === 'password')) return context.show(signinView(context))
    if (rd !== undefined && next.to === 'site' && context.cameBack >= ROUNDS_AT_MOST)
      return sentBack(login, context, next)
    if (rd !== undefined && next.to !== 'home') return context.goOn(next)
    const { session, person } = visit.who
    const confirmed =
      visit.level === 2 && session.secondFactor !== null ? { by: session.secondFactor, until: session.expiresAt } : null
    const sites = login.sites(visit)
    const canConfirm =
      visit.level < 2 && login.secondFactorConfigured && sites.some(site => site.needs === 'second-factor')
    const refusal = await login.refusal(visit)
    const failed = await login.settings.failedTries(visit)
    return context.show(homePage(shell, person.displayName, confirmed, sites, { canConfirm, refusal, failed }))
  })

  pages.post('/notice/seen', '/', async (context, request) => {
    if (formOf(request).get('which') === 'failed') await login.settings.failedTriesSeen(context.visit)
    else await login.refusalSeen(context.visit)
    return context.goTo('/')
  })

  pages.post('/login', '/', async (context, request) => {
    const form = formOf(request)
    const { visit, rd, rm } = context
    const username = (form.get('username') ?? '').trim()
    const password = form.get('password') ?? ''
    const shown = username.slice(0, NAME_KEPT_AT_MOST)
    if (username === '' || password === '') {
      const missing = username === '' ? (password === '' ? 'both' : 'username') : 'password'
      return context.goSaying('/', { kind: 'empty', username: shown, missing })
    }
    const answer = await login.signIn(visit, { username, password, remember: form.get('keepMeLoggedIn') === 'true' })
    switch (answer.outcome) {
      case 'refused':
        return context.goSaying('/', { kind: 'wrong', username: shown, triesLeft: answer.triesLeft })
      case 'banned':
        return context.goSaying('/', {
          kind: 'banned',
          username: shown,
          until: answer.until,
          whose: answer.whose,
          by: answer.by,
        })
      case 'busy':
        return context.goSaying('/', {
          kind: 'limited',
          until: context.shell.now + answer.retryAfterSeconds * SECOND,
        })
      case 'limited':
        return context.goSaying('/', { kind: 'limited', until: answer.until })
      case 'unavailable':
        return context.goSaying('/', { kind: 'down', ref: answer.ref, reason: answer.reason })
      case 'accepted': {
        context.setCookie(answer.started.cookie)
        const { session } = answer.started
        const now: Visit = { ...visit, who: { session, person: answer.person }, level: session.level, ended: null }
        const next = login.next(now, { rd, rm })
        if (next.to !== 'prove' || !config.duo_api?.autopush) return context.goOn(next)
        // The one POST of the person sends the push too. What the phone cannot be asked for now, the next page tells.
        const sent = await login.ring(now, undefined, { rd, rm })
        if ('push' in sent) return context.goTo('/prove/wait')
        const passes = sent.outcome === 'offer' && (sent.offer.kind === 'allow' || sent.offer.kind === 'failmode')
        if (!passes || next.factors.length > 0) return context.goOn(next)
        return raised(login, { ...context, visit: now }, await login.raiseByPolicy(now, sent.offer))
      }
    }
  })

  // Nothing reads a name or a password from a URL.
  pages.get('/help', context => context.show(helpPage(context.shell)))
}

function signinView({ visit, message, query, keepsCookies, shell, next }: Context): View {
  if (message?.kind === 'banned' && (message.until === null || message.until > shell.now))
    return bannedPage(shell, 'signin.banned', message)
  if (message?.kind === 'limited' && message.until > shell.now) return limitedPage(shell, message.until)
  if (message?.kind === 'down') return downPage(shell, message)
  if (message?.kind === 'fraud') return fraudPage(shell, message.username, message.ref)
  // A POST has sent the browser here, and it brings no cookie at all.
  if (message === undefined && query.has('m') && !keepsCookies) return signinPage(shell, { kind: 'cookies' }, '')
  const { session } = visit.who ?? {}
  const again = session && next.to === 'password' ? { maxAge: next.maxAge, remembered: session.remember } : null
  const username = usernameOf(message)
  return signinPage(shell, newsOf(message, visit), username === '' ? (session?.username ?? '') : username, again)
}

function newsOf(message: Message | undefined, visit: Visit): SigninNews | undefined {
  if (message?.kind === 'wrong' || message?.kind === 'empty') return message
  return visit.ended === null ? undefined : { kind: 'ended', how: visit.ended }
}

const usernameOf = (message: Message | undefined) =>
  message?.kind === 'wrong' || message?.kind === 'empty' || message?.kind === 'banned' ? message.username : ''
